/** One case against one proxy: sends its bytes and tells what came back and what became of the connection. */
import net from 'node:net';
import { type Case, caseHeader } from './case.ts';
import { type Message, takeResponse } from './message.ts';

export interface Outcome {
  readonly responses: readonly Message[];
  /** Bytes that are no whole response. */
  readonly rest: string;
  readonly connection: 'open' | 'closed' | 'reset';
}

/** How long a connection may stay open after an answer that said close: Envoy waits a second for the peer. */
const closeMs = 2500;
/** How long an answer without close is watched. */
const openMs = 150;

export function bytesOf(test: Case, key: string): Buffer {
  const named = test.send.replaceAll('@', `${caseHeader}: ${key}${test.raw === true ? '\r\n' : '\n'}`);
  return Buffer.from(test.raw === true ? named : named.replaceAll('\n', '\r\n'), 'latin1');
}

const isFinal = (m: Message): boolean => !/^HTTP\/1\.1 1\d\d /.test(m.start);
const saysClose = (m: Message): boolean =>
  m.headers.some(([n, v]) => n.toLowerCase() === 'connection' && v.toLowerCase() === 'close');

export function ask(port: number, test: Case, key: string): Promise<Outcome> {
  const method = /[A-Z]+/.exec(test.send)?.[0] ?? 'GET';
  const wanted = test.responses ?? 1;
  return new Promise((done) => {
    const responses: Message[] = [];
    let buffer: Buffer = Buffer.alloc(0);
    let connection: Outcome['connection'] = 'open';
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      done({ responses, rest: buffer.toString('latin1'), connection });
    };
    let timer = setTimeout(finish, test.waitMs ?? 5000);
    const look = (ended: boolean): void => {
      for (let t = takeResponse(buffer, method, ended); t !== null; t = takeResponse(buffer, method, ended)) {
        buffer = buffer.subarray(t.size);
        responses.push(t.message);
      }
      if (ended || responses.filter(isFinal).length < wanted) return;
      clearTimeout(timer);
      timer = setTimeout(finish, responses.some(saysClose) ? closeMs : openMs);
    };
    socket.on('connect', () => {
      socket.write(bytesOf(test, key));
      if (test.end === true) socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      look(false);
    });
    socket.on('end', () => {
      connection = 'closed';
      look(true);
      finish();
    });
    socket.on('error', () => {
      connection = 'reset';
      look(true);
      finish();
    });
  });
}
