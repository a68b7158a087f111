import type { Native } from '../../native.cjs';
import { AudienceKind } from '../../native/shared-numbers.cjs';
import type { IWebSocket, TWebSocketBusState } from '../types.cjs';
import { NativeSocket } from './native-socket.cjs';
import type { Audience, HelperOperation, Instance, TransportHost } from './transport.cjs';

const KINDS = {
  room: AudienceKind.Room,
  user: AudienceKind.User,
  broadcast: AudienceKind.Everybody,
} as const;

/**
 * What the helpers of one identifier share, as one of them sees it: all of it is kept by the addon.
 * Names are text there; those of the application may be anything, as everywhere in the helper, and
 * an id that is missing is one that nobody has.
 */
export class NativeInstance implements Instance {
  readonly #native: Native;
  readonly #helper: number;
  readonly #host: TransportHost;
  /** As this helper has heard of it: each change takes its way here, and none is skipped. */
  #inputState: TWebSocketBusState = 'lost';

  constructor(
    native: Native,
    helper: number,
    host: TransportHost,
    readonly serverId: string,
  ) {
    this.#native = native;
    this.#helper = helper;
    this.#host = host;
  }

  /** The addon knows this helper, and tells it of changes from here on. */
  begin(): void {
    this.#inputState = this.#native.helperInputIsReady(this.#helper) ? 'ready' : 'lost';
  }

  addClient(clientId: string, socket: IWebSocket): void {
    this.#native.helperAddClient(
      this.#helper,
      String(clientId),
      socket instanceof NativeSocket ? socket.id : 0,
    );
  }

  finishClient(clientId: string): void {
    this.#native.helperFinishClient(this.#helper, String(clientId));
  }

  encryptClient(clientId: string): number {
    return this.#native.helperHoldClient(this.#helper, String(clientId));
  }

  removeClient(clientId: string): void {
    this.#native.helperRemoveClient(this.#helper, String(clientId));
  }

  addMember(clientId: string, type: 'room' | 'user', name: string): void {
    this.#native.helperAddMember(this.#helper, String(clientId), KINDS[type], String(name));
  }

  removeMember(clientId: string, type: 'room' | 'user', name: string): void {
    this.#native.helperRemoveMember(this.#helper, String(clientId), KINDS[type], String(name));
  }

  takeLeftClient(): { clientId: string; userId: string | undefined } | undefined {
    const left = this.#native.helperTakeLeftClient(this.#helper);
    return left === undefined ? undefined : { clientId: left[0], userId: left[1] };
  }

  dropped(again: boolean): number {
    return this.#native.helperDropped(this.#helper, again);
  }

  isElsewhere(clientId: string): boolean {
    return this.#native.helperIsElsewhere(this.#helper, String(clientId));
  }

  hasRoom(room: string): boolean {
    return this.countRoom(room) > 0;
  }

  countClients(): number {
    return this.#native.helperClientCount(this.#helper);
  }

  countRoom(room: string): number {
    return this.#native.helperRoomCount(this.#helper, String(room));
  }

  publish({ type, name }: Audience, frame: string, exclude: readonly string[]): number {
    return this.#native.helperPublish(
      this.#helper,
      KINDS[type],
      String(name),
      frame,
      exclude.length === 0 ? undefined : exclude,
    );
  }

  sendElsewhere(clientId: string, frame: string): number {
    return this.#native.helperSendElsewhere(this.#helper, String(clientId), frame);
  }

  post(
    _clientId: string,
    { op, clientId, room }: HelperOperation & { readonly op: 'join' | 'leave' },
  ): boolean {
    return this.#native.helperAskMember(
      this.#helper,
      String(clientId),
      String(room),
      op === 'join',
    );
  }

  claimInput(): boolean {
    return this.#native.helperClaimInput(this.#helper);
  }

  setInputState(state: TWebSocketBusState): void {
    // The others are told by the addon, in the order of the changes; all changes come from here
    // while this one subscribes.
    if (this.#native.helperSetInput(this.#helper, state === 'ready')) this.inputChanged(state);
  }

  get inputState(): TWebSocketBusState {
    return this.#inputState;
  }

  /** What the addon has told. */
  inputChanged(state: TWebSocketBusState): void {
    this.#inputState = state;
    this.#host.inputState(state);
  }
}
