"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createServer = createServer;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const redis_cjs_1 = require("../options/redis.cjs");
const tls_cjs_1 = require("../options/tls.cjs");
const report_cjs_1 = require("../report.cjs");
const keep_alive_cjs_1 = require("./keep-alive.cjs");
/** The object that `start` resolves to. From now on the server counts as listening. */
function createServer({ listener, location, signal, ...parts }) {
    let { tls } = parts;
    let closing;
    let reloaded = Promise.resolve();
    const closeInner = () => parts.inner?.close() ?? Promise.resolve();
    const close = async () => {
        if (!keep_alive_cjs_1.servers.has(listener))
            return;
        forgetSignal();
        await load_cjs_1.native.closeListener(listener);
        await closeInner();
        keep_alive_cjs_1.servers.delete(listener);
    };
    const reload = async (given) => {
        if (tls === undefined) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: the server was started without "tls"');
        }
        const next = given ?? tls;
        const pem = await (0, tls_cjs_1.readTls)('reloadTls', next);
        if (closing !== undefined || !keep_alive_cjs_1.servers.has(listener)) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: the server is closed');
        }
        try {
            load_cjs_1.native.reloadTls(listener, pem);
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        tls = next;
    };
    const setKeepsAlive = (keepsAlive) => {
        const listening = keep_alive_cjs_1.servers.get(listener);
        if (listening !== undefined)
            listening.keepsAlive = keepsAlive;
        (0, keep_alive_cjs_1.updateKeepAlive)();
        return self;
    };
    const self = {
        ...location,
        close: () => (closing ??= (0, keep_alive_cjs_1.keepingAlive)(close)),
        ref: () => setKeepsAlive(true),
        unref: () => setKeepsAlive(false),
        // Node before 18.18 does not have this symbol.
        ...(Symbol.asyncDispose !== undefined && {
            [Symbol.asyncDispose]: () => self.close(),
        }),
        async reloadTls(options) {
            const given = options === undefined ? undefined : (0, tls_cjs_1.checkTlsOptions)('reloadTls', options);
            // One after the other, so that the certificate of the last call is the one that stays.
            const result = reloaded.then(() => reload(given));
            reloaded = result.catch(() => undefined);
            return result;
        },
        async reloadBus(redis) {
            const next = (0, redis_cjs_1.checkRedisOptions)('reloadBus', 'redis', redis);
            try {
                await load_cjs_1.native.reloadCluster(next);
            }
            catch (error) {
                throw (0, errors_cjs_1.fromNative)(error);
            }
            parts.busReloaded(next);
        },
    };
    const onAbort = () => void self
        .close()
        .catch((error) => (0, report_cjs_1.reportError)('the server did not close after its signal was aborted', error));
    const forgetSignal = () => signal?.removeEventListener('abort', onAbort);
    signal?.addEventListener('abort', onAbort);
    keep_alive_cjs_1.servers.set(listener, { keepsAlive: true, forgetSignal, closeInner });
    return self;
}
