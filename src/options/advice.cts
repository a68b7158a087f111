import { WSBrokerError } from '../errors.cjs';

// Sentences at the end of messages that say what to do.

/** For everything that contradicts an earlier call. */
export const START_OVER =
  'to start over, for instance under "bun --hot", call "await shutdown()" first';

const USE_BIND = `pass the address as "bind", such as bind: '127.0.0.1:8080'`;
const OWN_ADDRESS =
  'wsbroker listens on an address of its own: pass it as "bind", such as bind: ' +
  `'127.0.0.1:8080'`;

/** Options of other servers, and what to use instead in `start`. */
export const OPTION_HINTS: Readonly<Record<string, string>> = {
  port: USE_BIND,
  host: USE_BIND,
  hostname: USE_BIND,
  address: USE_BIND,
  listen: USE_BIND,
  url: USE_BIND,
  server: OWN_ADDRESS,
  httpServer: OWN_ADDRESS,
  noServer: OWN_ADDRESS,
  http: OWN_ADDRESS,
  https: OWN_ADDRESS,
};

/** A valid `bind`, with the port if a port was given. */
export function exampleBind(given: unknown): string {
  const isPort =
    typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < 2 ** 16;
  const port = isPort ? given : 8080;
  return `a string such as '127.0.0.1:${port}', or '0.0.0.0:${port}' for all addresses`;
}

/** The addon's error about an address, with what to do about it. */
export function explainBindError(error: unknown, bind: string, reusePort: boolean): unknown {
  if (!(error instanceof WSBrokerError)) return error;
  if (error.code === 'ERR_WSBROKER_CONFLICT') return withAdvice(error, START_OVER);
  if (error.syscallCode !== 'EADDRINUSE' || bind.startsWith('unix:')) return error;
  const sharing = reusePort
    ? 'every process that shares a port must set "reusePort", from its first "start" on'
    : 'to share the port between processes (node:cluster, PM2), set "reusePort" in all of them';
  return withAdvice(error, `another program is already listening there; ${sharing}`);
}

/** The same error, with more to say. */
export function withAdvice(error: WSBrokerError, advice: string): WSBrokerError {
  error.message += `; ${advice}`;
  return error;
}

/** A process-wide option has another value than in an earlier `start`. */
export function conflictWithEarlier(name: string, before: unknown, now: unknown): WSBrokerError {
  const was = before === undefined ? 'off' : String(before);
  return new WSBrokerError(
    'ERR_WSBROKER_CONFLICT',
    `start: "${name}" applies to the whole process and has been ${was} since an earlier start, ` +
      `got ${String(now)}; ${START_OVER}`,
  );
}
