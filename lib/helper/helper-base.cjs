"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HelperBase = void 0;
const log_cjs_1 = require("./log.cjs");
/** What the server helper and its emitter have in common. */
class HelperBase {
    identifier;
    /** The name of the class. */
    scope;
    logger;
    constructor(scope, identifier, logger) {
        this.scope = scope;
        this.identifier = identifier;
        this.logger = logger ?? (0, log_cjs_1.defaultLogger)(scope);
    }
    getIdentifier() {
        return this.identifier;
    }
    getLogger() {
        return this.logger;
    }
}
exports.HelperBase = HelperBase;
