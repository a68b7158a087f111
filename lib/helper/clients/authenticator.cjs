"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Authenticator = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const sockets_cjs_1 = require("./sockets.cjs");
/**
 * Takes a client from its new socket to the end of authentication, in the order of
 * docs/design/helper.md. After each wait it checks that the client is still the same entry.
 */
class Authenticator {
    #parts;
    constructor(parts) {
        this.#parts = parts;
    }
    /** Starts the time limit for `authenticate`. */
    startTimeLimit(client) {
        this.#limit(client, this.#parts.settings.authTimeout, () => client.state === 'unauthorized');
    }
    authenticate(client, data) {
        const { settings, clients } = this.#parts;
        if (client.state !== 'unauthorized') {
            return this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.alreadyAuthenticated);
        }
        client.state = 'authenticating';
        clearTimeout(client.authTimer);
        this.#limit(client, protocol_cjs_1.LIMITS.authPatience * settings.authTimeout, () => !clients.internals(client).finished);
        const given = (data ?? {});
        (0, callbacks_cjs_1.inNextMicrotask)(() => (0, callbacks_cjs_1.callApplication)(() => settings.authenticateFn(given), (result) => this.#authenticated(client, given, result), (error) => this.#failed(client, 'authenticateFn failed', error)));
    }
    #authenticated(client, data, result) {
        const { settings, clients, log } = this.#parts;
        if (!clients.isHere(client))
            return;
        if (!result) {
            this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.authFailed);
            return (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.authFailed, log);
        }
        try {
            // Anything truthy is a success. Without these properties it is an anonymous client.
            const { userId, metadata } = result;
            // It is indexed as text, and not every value can be converted to text.
            if (userId)
                String(userId);
            if (userId !== undefined)
                client.userId = userId;
            if (metadata !== undefined)
                client.metadata = metadata;
        }
        catch (error) {
            return this.#failed(client, 'the result of authenticateFn cannot be read', error);
        }
        client.state = 'authenticated';
        if (settings.requireEncryption)
            this.#agreeOnKeys(client, data);
        else
            this.#finish(client);
    }
    #agreeOnKeys(client, data) {
        const { settings, clients, log } = this.#parts;
        const { handshakeFn } = settings;
        if (handshakeFn === undefined)
            return (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.encryptionRequired, log);
        (0, callbacks_cjs_1.callApplication)(() => handshakeFn({ clientId: client.id, userId: client.userId, data }), (result) => {
            if (!clients.isHere(client))
                return;
            if (!result) {
                this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.handshakeFailed);
                return (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.encryptionRequired, log);
            }
            let keys;
            try {
                const { serverPublicKey, salt } = result;
                keys = { serverPublicKey, salt };
            }
            catch (error) {
                return this.#failed(client, 'the result of handshakeFn cannot be read', error);
            }
            this.#parts.encrypt(client);
            if (keys.serverPublicKey !== undefined)
                client.serverPublicKey = keys.serverPublicKey;
            if (keys.salt !== undefined)
                client.salt = keys.salt;
            this.#finish(client);
        }, (error) => this.#failed(client, 'handshakeFn failed', error));
    }
    #finish(client) {
        const { settings, clients, users, rooms, log } = this.#parts;
        clearTimeout(client.authTimer);
        delete client.authTimer;
        clients.internals(client).finished = true;
        this.#parts.instance()?.finishClient(client.id);
        users.add(client);
        if (!client.encrypted) {
            try {
                client.socket.subscribe(protocol_cjs_1.WebSocketDefaults.BROADCAST_TOPIC);
            }
            catch (error) {
                log.error(`subscribe failed for client ${client.id}`, error);
            }
        }
        rooms.join(client, client.id);
        for (const room of settings.defaultRooms)
            rooms.join(client, room);
        this.#parts.send(client, 'connected', {
            id: client.id,
            ...(client.userId !== undefined && { userId: client.userId }),
            time: new Date().toISOString(),
            ...(client.encrypted &&
                client.serverPublicKey && { serverPublicKey: client.serverPublicKey, salt: client.salt }),
        });
        log.debug(`client ${client.id} is authenticated`);
        const { clientConnectedFn } = settings;
        // That send may have disconnected the client: then the application must not be told that it is
        // connected.
        if (clientConnectedFn === undefined || !clients.isHere(client))
            return;
        (0, callbacks_cjs_1.callApplication)(() => clientConnectedFn({
            clientId: client.id,
            userId: client.userId,
            metadata: client.metadata,
        }), () => undefined, (error) => log.error(`clientConnectedFn failed for client ${client.id}`, error));
    }
    #failed(client, what, error) {
        const { clients, log } = this.#parts;
        if (!clients.isHere(client))
            return;
        log.error(`${what} for client ${client.id}`, error);
        this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.authError);
        (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.authFailed, log);
    }
    /** The client stays in the table until its close event. */
    #limit(client, ms, applies) {
        client.authTimer = setTimeout(() => {
            if (this.#parts.clients.isHere(client) && applies()) {
                (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.authTimeout, this.#parts.log);
            }
        }, (0, sockets_cjs_1.delay)(ms));
    }
}
exports.Authenticator = Authenticator;
