"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.bunTransport = bunTransport;
/**
 * Sockets of `Bun.serve`, which the application starts and stops. Each helper is an instance of its
 * own.
 */
function bunTransport(server, log) {
    return {
        native: false,
        instance: undefined,
        join: () => Promise.resolve(),
        open: () => Promise.resolve(),
        leave: () => Promise.resolve(),
        stopAccepting: () => undefined,
        finish: () => Promise.resolve(),
        publish(topic, frame) {
            try {
                server?.publish(topic, frame);
            }
            catch (error) {
                log.error('publish failed', error);
            }
        },
        address: () => undefined,
        dropped: () => 0,
    };
}
