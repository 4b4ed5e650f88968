/** A foreign server as a process of its own, on a port that was free a moment ago. */
import { spawn } from 'node:child_process';
import net from 'node:net';
import { freePorts } from '@chainmail/runtime/testing';

/** A process that is killed when it is no longer wanted. */
export interface Server {
  readonly port: number;
  stop(): void;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

export async function startServer(command: (port: number) => readonly string[]): Promise<Server> {
  const [port = 0] = await freePorts(1);
  const [program = '', ...args] = command(port);
  const child = spawn(program, args, { stdio: 'ignore' });
  const end = Date.now() + 10_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${program} does not listen on ${port}`);
    await new Promise((done) => setTimeout(done, 20));
  }
  return { port, stop: () => child.kill('SIGKILL') };
}
