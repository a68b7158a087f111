"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NativeInstance = void 0;
const native_socket_cjs_1 = require("./native-socket.cjs");
const AUDIENCE_KINDS = {
    room: 0 /* AudienceKind.Room */,
    user: 1 /* AudienceKind.User */,
    broadcast: 2 /* AudienceKind.Everybody */,
};
/**
 * What the helpers of one identifier share, as one of them sees it. The addon keeps all of it.
 * Names are text there, but the application may pass anything; a missing id is one that no client
 * has.
 */
class NativeInstance {
    helper;
    serverId;
    #native;
    #host;
    /** As this helper knows it: it gets every change, and skips none. */
    #inputState = 'lost';
    constructor(native, helper, host, serverId) {
        this.helper = helper;
        this.serverId = serverId;
        this.#native = native;
        this.#host = host;
    }
    /** To be called when the addon knows this helper and reports changes to it. */
    begin() {
        this.#inputState = this.#native.helperInputIsReady(this.helper) ? 'ready' : 'lost';
    }
    messageHandled(milliseconds) {
        this.#native.handlerRan(9 /* EventKind.HelperMessage */, milliseconds);
    }
    addClient(clientId, socket) {
        this.#native.helperAddClient(this.helper, String(clientId), socket instanceof native_socket_cjs_1.NativeSocket ? socket.id : 0);
    }
    finishClient(clientId) {
        this.#native.helperFinishClient(this.helper, String(clientId));
    }
    encryptClient(clientId) {
        return this.#native.helperHoldClient(this.helper, String(clientId));
    }
    removeClient(clientId) {
        this.#native.helperRemoveClient(this.helper, String(clientId));
    }
    addMember(clientId, type, name) {
        this.#native.helperAddMember(this.helper, String(clientId), AUDIENCE_KINDS[type], String(name));
    }
    removeMember(clientId, type, name) {
        this.#native.helperRemoveMember(this.helper, String(clientId), AUDIENCE_KINDS[type], String(name));
    }
    takeLeftClient() {
        const left = this.#native.helperTakeLeftClient(this.helper);
        return left === undefined ? undefined : { clientId: left[0], userId: left[1] };
    }
    dropped(again) {
        return this.#native.helperDropped(this.helper, again);
    }
    isElsewhere(clientId) {
        return this.#native.helperIsElsewhere(this.helper, String(clientId));
    }
    hasRoom(room) {
        return this.countRoom(room) > 0;
    }
    countClients() {
        return this.#native.helperClientCount(this.helper);
    }
    countRoom(room) {
        return this.#native.helperRoomCount(this.helper, String(room));
    }
    publish({ type, name }, frame, exclude) {
        return this.#native.helperPublish(this.helper, AUDIENCE_KINDS[type], String(name), frame, exclude.length === 0 ? undefined : exclude);
    }
    sendElsewhere(clientId, frame) {
        return this.#native.helperSendElsewhere(this.helper, String(clientId), frame);
    }
    post(_clientId, { op, clientId, room }) {
        return this.#native.helperAskMember(this.helper, String(clientId), String(room), op === 'join');
    }
    claimInput() {
        return this.#native.helperClaimInput(this.helper);
    }
    setInputState(state) {
        // The addon tells the other helpers, in the order of the changes. All changes come from this
        // helper while it subscribes.
        if (this.#native.helperSetInput(this.helper, state === 'ready'))
            this.inputChanged(state);
    }
    get inputState() {
        return this.#inputState;
    }
    /** To be called for each change that the addon reports. */
    inputChanged(state) {
        this.#inputState = state;
        this.#host.inputState(state);
    }
}
exports.NativeInstance = NativeInstance;
