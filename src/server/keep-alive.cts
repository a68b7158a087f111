// What keeps the process alive: servers that listen, and tasks such as `start` and `shutdown`.

/** What this thread keeps of a server that listens. */
export interface ListeningServer {
  /** Whether it keeps the process alive. */
  keepsAlive: boolean;
  /** Stops listening to the application's signal. */
  readonly forgetSignal: () => void;
  /** Closes the application's HTTP server behind it, if it has one. */
  readonly closeInner: () => Promise<void>;
}

/** The servers of this thread, by the addon's number of their listener. */
export const servers = new Map<number, ListeningServer>();

let tasks = 0;
let timer: NodeJS.Timeout | undefined;

/** Runs the task. The process does not exit by itself meanwhile. */
export async function keepingAlive<T>(task: () => Promise<T>): Promise<T> {
  tasks++;
  updateKeepAlive();
  try {
    return await task();
  } finally {
    tasks--;
    updateKeepAlive();
  }
}

export function hasTasks(): boolean {
  return tasks > 0;
}

/** To be called after a change of {@link servers}. */
export function updateKeepAlive(): void {
  if (tasks > 0 || [...servers.values()].some(({ keepsAlive }) => keepsAlive)) {
    timer ??= setInterval(() => undefined, 2 ** 30);
  } else {
    clearInterval(timer);
    timer = undefined;
  }
}
