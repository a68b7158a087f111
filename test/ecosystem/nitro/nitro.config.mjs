export default {
  preset: 'standard',
  serverDir: './',
  features: { websocket: true },
  logLevel: 1,
};
