/** The thread of Attacker. */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { Work } from './h2-attacker.ts';
import { breaches, floods, hoarders } from './h2-attacks.ts';
import { preface, takeFrames, types } from './h2-frames.ts';

const pauseMs = 100;

function attack({ port, name, parallel, holdMs }: Work): void {
  const found = [...floods, ...breaches, ...hoarders].find((a) => a.name === name);
  if (found === undefined) throw new Error(`no attack ${name}`);
  const bytes = Buffer.concat([preface, found.bytes()]);
  let isOver = false;
  let connections = 0;
  let ended = 0;
  const goaways = new Set<number>();
  const once = (): Promise<void> =>
    new Promise((done) => {
      connections++;
      let got: Buffer = Buffer.alloc(0);
      const socket = net.connect(port, '127.0.0.1');
      const timer = setTimeout(() => finish(false), holdMs);
      const finish = (byAgent: boolean): void => {
        clearTimeout(timer);
        if (byAgent) ended++;
        byAgent = false;
        socket.destroy();
        setTimeout(done, pauseMs);
      };
      socket.on('error', () => undefined);
      socket.once('close', () => finish(true));
      if (found.deaf === true) socket.pause();
      else {
        socket.on('data', (chunk: Buffer) => {
          const { frames, rest } = takeFrames(Buffer.concat([got, chunk]));
          got = rest;
          for (const f of frames) if (f.type === types.goaway) goaways.add(f.payload.readUInt32BE(4));
        });
      }
      socket.write(bytes);
    });
  const lane = async (): Promise<void> => {
    while (!isOver) await once();
  };
  const lanes = Array.from({ length: parallel }, lane);
  parentPort?.once('message', () => {
    isOver = true;
    void Promise.all(lanes).then(() => parentPort?.postMessage({ connections, ended, goaways: [...goaways] }));
  });
}

attack(workerData as Work);
