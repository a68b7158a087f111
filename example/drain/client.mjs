// A client that comes back when it was asked to, and waits longer each time that it cannot.
//
//   node example/drain/client.mjs ws://127.0.0.1:8080/ws
//
// Needs a global WebSocket: Node 22, Bun, or a browser.

const LONGEST = 30_000;

/** Keeps a connection to `url`, for as long as the program runs. */
export function connect(url, onMessage) {
  let failures = 0;
  const open = () => {
    const socket = new WebSocket(url);
    socket.onopen = () => (failures = 0);
    socket.onmessage = ({ data }) => onMessage(data);
    socket.onclose = ({ code, reason }) => {
      const asked = /^retry-after=(\d+)$/.exec(reason);
      // The server has spread its closes, so no more than a little chance is needed here. Without
      // its word the clients of a server that has died would all be back at the same moment.
      const wait = asked
        ? Number(asked[1]) * 1000 + Math.random() * 500
        : Math.random() * Math.min(LONGEST, 1000 * 2 ** failures);
      failures += 1;
      console.log(`closed with ${code} ${reason}; back in ${Math.round(wait)} ms`);
      setTimeout(open, wait);
    };
  };
  open();
}

const [url] = process.argv.slice(2);
if (url !== undefined) connect(url, console.log);
