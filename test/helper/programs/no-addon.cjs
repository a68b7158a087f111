throw new Error('the addon was loaded');
