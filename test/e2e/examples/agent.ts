/** The agent as a process with a file of its own, on loopback, as somebody who tries Envoy's examples would start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

const binary = path.resolve(import.meta.dirname, '../../../node_modules/.bin/chainmail-agent');

export const extension = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;

export const address = (
  port: number,
  host = '127.0.0.1',
): { readonly socket_address: { readonly address: string; readonly port_value: number } } => ({
  socket_address: { address: host, port_value: port },
});

const accepts = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => done(true));
    socket.once('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #dir: string;
  output = '';

  constructor(config: JsonObject) {
    this.#dir = fs.mkdtempSync(path.join(os.tmpdir(), 'examples-'));
    const file = path.join(this.#dir, 'envoy.json');
    fs.writeFileSync(file, JSON.stringify(config));
    this.#child = spawn(binary, ['-c', file, '--concurrency', '1', '-l', 'info'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk) => {
        this.output += String(chunk);
      });
    }
  }

  /** A listener opens once the clusters that its routes lead to are resolved, which may be after the start. */
  async started(ports: readonly number[]): Promise<this> {
    const ended = once(this.#child, 'exit').then(() => 'ended');
    while (!this.output.includes('"msg":"started"')) {
      const heard = [this.#child.stdout, this.#child.stderr].flatMap((s) => (s === null ? [] : [once(s, 'data')]));
      if ((await Promise.race([ended, ...heard])) === 'ended') throw new Error(this.output);
    }
    for (const port of ports)
      while (!(await accepts(port))) if (this.#child.exitCode !== null) throw new Error(this.output);
    return this;
  }

  /** Resolves when the output holds the text. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text) && this.#child.stdout !== null) await once(this.#child.stdout, 'data');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }
}
