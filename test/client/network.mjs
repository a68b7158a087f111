// A network between a client and a server that can be cut, and go silent.
import net from 'node:net';

/** Listens on a free port and passes everything on to `port()`. */
export async function network(t, port) {
  const pairs = new Set();
  let isDown = false;
  let chunks = 0;
  const server = net.createServer({ pauseOnConnect: true }, (near) => {
    near.on('error', () => {});
    if (isDown) return near.destroy();
    const far = net.connect(port(), '127.0.0.1');
    const pair = [near, far];
    pairs.add(pair);
    for (const one of pair) {
      one.on('error', () => {});
      one.on('close', () => {
        pairs.delete(pair);
        for (const both of pair) both.destroy();
      });
    }
    near.on('data', () => chunks++);
    near.pipe(far).pipe(near);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const pair of pairs) for (const one of pair) one.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    /** How many pieces have come from clients. */
    get chunks() {
      return chunks;
    },
    /** Every connection is lost. New ones may come. */
    cut,
    /** Every connection is lost, and every new one. */
    down() {
      isDown = true;
      cut();
    },
    up() {
      isDown = false;
    },
    /** Connections stay, and nothing gets through any more. */
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
  };
}
