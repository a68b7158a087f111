// The program's functions: whatever they do, the client goes on.
export function keepListeners() {
    const all = new Set();
    const { reportError = console.error } = globalThis;
    const run = (name, listener, detail) => {
        try {
            listener?.(detail);
        }
        catch (error) {
            // A listener for errors that throws is not called with that.
            if (name === 'error')
                reportError(error);
            else
                tell('error', error);
        }
    };
    const tell = (name, detail) => {
        const called = [...all].filter((one) => one.name === name);
        for (const { listener } of called)
            run(name, listener, detail);
        if (name === 'error' && !called.length)
            reportError(detail);
    };
    return {
        call: (listener, detail) => run('', listener, detail),
        tell,
        on(name, listener) {
            const own = { name, listener };
            all.add(own);
            return () => {
                all.delete(own);
            };
        },
    };
}
