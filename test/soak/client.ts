/** Load without a library: connections opened and closed, and requests pipelined over connections that stay. */
import net from 'node:net';

/** Ports of one address run out while closed connections rest; so each connection comes from the next address. */
const sourceAddresses = 200;

/** Opens and closes so many connections, a request on each, at most `parallel` at a time. Returns how many failed. */
export async function connections(port: number, count: number, parallel: number): Promise<number> {
  let begun = 0;
  let failed = 0;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const localAddress = `127.0.1.${1 + (begun % sourceAddresses)}`;
      const socket = net.connect({ port, host: '127.0.0.1', localAddress });
      let answered = false;
      socket.on('data', () => {
        answered = true;
        socket.resetAndDestroy();
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        if (!answered) failed++;
        resolve();
      });
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    });
  const lane = async (): Promise<void> => {
    while (begun < count) {
      begun++;
      await one();
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return failed;
}

const answerStart = Buffer.from('HTTP/1.1 200');

/** So many requests over `lanes` connections, `depth` pipelined at a time. Returns how many answers were not 200. */
export async function requests(port: number, count: number, lanes: number, depth: number): Promise<number> {
  const batch = Buffer.from('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(depth));
  const share = Math.ceil(count / lanes / depth);
  const lane = (): Promise<number> =>
    new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      let left = share;
      let missing = share * depth;
      let inBatch = 0;
      let tail = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('close', () => resolve(missing));
      socket.on('connect', () => socket.write(batch));
      socket.on('data', (data: Buffer) => {
        const bytes = tail.length > 0 ? Buffer.concat([tail, data]) : data;
        let at = 0;
        for (let i = bytes.indexOf(answerStart, at); i >= 0; i = bytes.indexOf(answerStart, at)) {
          at = i + answerStart.length;
          missing--;
          inBatch++;
        }
        tail = Buffer.from(bytes.subarray(Math.max(at, bytes.length - answerStart.length + 1)));
        if (inBatch < depth) return;
        inBatch -= depth;
        left--;
        if (left > 0) socket.write(batch);
        else socket.destroy();
      });
    });
  const results = await Promise.all(Array.from({ length: lanes }, lane));
  return results.reduce((sum, n) => sum + n, 0);
}
