"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkCrosswsOptions = checkCrosswsOptions;
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const CALL = 'crosswsWorker';
const KNOWN = ['hooks', 'resolve', 'fetch', 'getNamespace', 'handleProtocols', 'onError'];
const HOOKS = ['upgrade', 'open', 'message', 'close', 'drain', 'error', 'ping', 'pong'];
const HINTS = {
    sync: 'channels reach all threads of a process by themselves, and all instances with the option ' +
        '"cluster" of start',
    idleTimeout: 'set "idleTimeout" of start, which is in milliseconds',
    serverOptions: 'the options of start are for that',
    wss: 'wsbroker is the server',
    ...Object.fromEntries(HOOKS.map((name) => [name, `write it as { hooks: { ${name} } }`])),
};
/** @throws {TypeError | WSBrokerError} an option is wrong; the message names it */
function checkCrosswsOptions(options) {
    const bag = (0, checks_cjs_1.knownKeys)(CALL, 'options', options, KNOWN, HINTS);
    for (const name of ['resolve', 'fetch', 'getNamespace', 'handleProtocols', 'onError']) {
        (0, checks_cjs_1.optional)(CALL, name, bag[name], 'function');
    }
    if (bag['hooks'] !== undefined) {
        if (typeof bag['hooks'] !== 'object' || bag['hooks'] === null) {
            throw (0, checks_cjs_1.wrongType)(CALL, 'hooks', 'an object', bag['hooks']);
        }
        // Of the hooks that there are, since an object may have other members, too.
        for (const name of HOOKS) {
            (0, checks_cjs_1.optional)(CALL, `hooks.${name}`, Reflect.get(bag['hooks'], name), 'function');
        }
    }
    if (bag['resolve'] !== undefined && bag['fetch'] !== undefined) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `${CALL}: "resolve" and "fetch" both say where the hooks come from; remove one of them`);
    }
    if (bag['hooks'] === undefined && bag['resolve'] === undefined && bag['fetch'] === undefined) {
        throw (0, checks_cjs_1.wrongType)(CALL, 'hooks', 'an object, or "resolve" or "fetch" a function', undefined);
    }
    return options;
}
