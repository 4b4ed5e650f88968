/** chainmail-agent as a process, for tests: started with a bootstrap, looked at over its admin interface. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export function request(port: number, target: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = http.request({ host: '127.0.0.1', port, path: target, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    call.on('error', reject);
    call.end();
  });
}

export class AgentProcess {
  readonly child: ChildProcess;
  readonly dir: string;
  stdout = '';
  stderr = '';
  readonly exited: Promise<number | null>;

  /** `config` is written to a file and given with -c, unless it is null. DIR in an argument is a folder of its own. */
  constructor(config: string | null, args: readonly string[] = []) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-test-'));
    const file = path.join(this.dir, 'envoy.yaml');
    if (config !== null) fs.writeFileSync(file, config);
    const all = [...(config === null ? [] : ['-c', file]), ...args.map((a) => a.replace('DIR', this.dir))];
    const concurrency = all.includes('-c') && !all.includes('--mode') ? ['--concurrency', '1'] : [];
    const address = ['--admin-address-path', path.join(this.dir, 'admin')];
    this.child = spawn(process.execPath, [
      '--no-warnings',
      main,
      ...all,
      ...concurrency,
      ...(concurrency.length > 0 ? address : []),
    ]);
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk);
    });
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    this.exited = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  get file(): string {
    return path.join(this.dir, 'envoy.yaml');
  }

  /** Resolves with the port of the admin interface once the agent says that it has started. */
  async started(): Promise<number> {
    while (!this.stderr.includes('"msg":"started"')) {
      const ended = await Promise.race([this.exited, once(this.child.stderr ?? this.child, 'data')]);
      if (ended === null || typeof ended === 'number') throw new Error(`the agent ended: ${this.stderr}`);
    }
    return Number(fs.readFileSync(path.join(this.dir, 'admin'), 'utf8').split(':').at(-1));
  }

  /** Resolves when it has written this text to stderr. */
  async says(text: string): Promise<void> {
    while (!this.stderr.includes(text)) await once(this.child.stderr ?? this.child, 'data');
  }

  /** Resolves when a file in the folder holds the text. */
  async holds(name: string, text: string): Promise<void> {
    const file = path.join(this.dir, name);
    const watcher = fs.watch(this.dir);
    const holds = (): boolean => fs.existsSync(file) && fs.readFileSync(file, 'utf8').includes(text);
    while (!holds()) await once(watcher, 'change');
    watcher.close();
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    const code = await this.exited;
    fs.rmSync(this.dir, { recursive: true, force: true });
    return code;
  }
}
