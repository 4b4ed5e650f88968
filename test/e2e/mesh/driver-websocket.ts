/** A WebSocket with Node's own client: sends messages, checks that each comes back as it went, closes. */
import type { WebSocketAnswer, WebSocketCall } from './driver-api.ts';
import { fill } from './pattern.ts';

const message = (i: number, size: number): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(size / 32_768) }, (_, n) => fill(i + n * 7, 32_768))).subarray(0, size);

export function webSocketCall(call: WebSocketCall): Promise<WebSocketAnswer> {
  return new Promise((done) => {
    const intact: boolean[] = [];
    let error = '';
    const socket = new WebSocket(call.url);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      for (const [i, size] of call.sizes.entries()) socket.send(message(i, size));
    });
    socket.addEventListener('message', ({ data }) => {
      const at = intact.length;
      intact.push(Buffer.from(data as ArrayBuffer).equals(message(at, call.sizes[at] ?? 0)));
      if (intact.length === call.sizes.length) socket.close(4001, 'done');
    });
    socket.addEventListener('error', (event) => {
      error = (event as ErrorEvent).message || 'failed';
    });
    socket.addEventListener('close', ({ code }) => done({ intact, closeCode: code, error }));
  });
}
