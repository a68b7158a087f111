import type { Native } from '../../native.cjs';
import { AudienceKind, EventKind } from '../../native/shared-numbers.cjs';
import type { IWebSocket, TWebSocketBusState } from '../types.cjs';
import { NativeSocket } from './native-socket.cjs';
import type { Audience, HelperOperation, Instance, TransportHost } from './transport.cjs';

const AUDIENCE_KINDS = {
  room: AudienceKind.Room,
  user: AudienceKind.User,
  broadcast: AudienceKind.Everybody,
} as const;

/**
 * What the helpers of one identifier share, as one of them sees it. The addon keeps all of it.
 * Names are text there, but the application may pass anything; a missing id is one that no client
 * has.
 */
export class NativeInstance implements Instance {
  readonly #native: Native;
  readonly #host: TransportHost;
  /** As this helper knows it: it gets every change, and skips none. */
  #inputState: TWebSocketBusState = 'lost';

  constructor(
    native: Native,
    readonly helper: number,
    host: TransportHost,
    readonly serverId: string,
  ) {
    this.#native = native;
    this.#host = host;
  }

  /** To be called when the addon knows this helper and reports changes to it. */
  begin(): void {
    this.#inputState = this.#native.helperInputIsReady(this.helper) ? 'ready' : 'lost';
  }

  messageHandled(milliseconds: number): void {
    this.#native.handlerRan(EventKind.HelperMessage, milliseconds);
  }

  addClient(clientId: string, socket: IWebSocket): void {
    this.#native.helperAddClient(
      this.helper,
      String(clientId),
      socket instanceof NativeSocket ? socket.id : 0,
    );
  }

  finishClient(clientId: string): void {
    this.#native.helperFinishClient(this.helper, String(clientId));
  }

  encryptClient(clientId: string): number {
    return this.#native.helperHoldClient(this.helper, String(clientId));
  }

  removeClient(clientId: string): void {
    this.#native.helperRemoveClient(this.helper, String(clientId));
  }

  addMember(clientId: string, type: 'room' | 'user', name: string): void {
    this.#native.helperAddMember(
      this.helper,
      String(clientId),
      AUDIENCE_KINDS[type],
      String(name),
    );
  }

  removeMember(clientId: string, type: 'room' | 'user', name: string): void {
    this.#native.helperRemoveMember(
      this.helper,
      String(clientId),
      AUDIENCE_KINDS[type],
      String(name),
    );
  }

  takeLeftClient(): { clientId: string; userId: string | undefined } | undefined {
    const left = this.#native.helperTakeLeftClient(this.helper);
    return left === undefined ? undefined : { clientId: left[0], userId: left[1] };
  }

  dropped(again: boolean): number {
    return this.#native.helperDropped(this.helper, again);
  }

  isElsewhere(clientId: string): boolean {
    return this.#native.helperIsElsewhere(this.helper, String(clientId));
  }

  hasRoom(room: string): boolean {
    return this.countRoom(room) > 0;
  }

  countClients(): number {
    return this.#native.helperClientCount(this.helper);
  }

  countRoom(room: string): number {
    return this.#native.helperRoomCount(this.helper, String(room));
  }

  publish({ type, name }: Audience, frame: string, exclude: readonly string[]): number {
    return this.#native.helperPublish(
      this.helper,
      AUDIENCE_KINDS[type],
      String(name),
      frame,
      exclude.length === 0 ? undefined : exclude,
    );
  }

  sendElsewhere(clientId: string, frame: string): number {
    return this.#native.helperSendElsewhere(this.helper, String(clientId), frame);
  }

  post(
    _clientId: string,
    { op, clientId, room }: HelperOperation & { readonly op: 'join' | 'leave' },
  ): boolean {
    return this.#native.helperAskMember(
      this.helper,
      String(clientId),
      String(room),
      op === 'join',
    );
  }

  claimInput(): boolean {
    return this.#native.helperClaimInput(this.helper);
  }

  setInputState(state: TWebSocketBusState): void {
    // The addon tells the other helpers, in the order of the changes. All changes come from this
    // helper while it subscribes.
    if (this.#native.helperSetInput(this.helper, state === 'ready')) this.inputChanged(state);
  }

  get inputState(): TWebSocketBusState {
    return this.#inputState;
  }

  /** To be called for each change that the addon reports. */
  inputChanged(state: TWebSocketBusState): void {
    this.#inputState = state;
    this.#host.inputState(state);
  }
}
