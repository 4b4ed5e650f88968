/**
 * POST /exec: runs a command in a container, or as root in a pod's or the node's network with this machine's tools.
 * The header x-chainmail-exec holds the request as JSON in base64, the body is stdin; the answer is one JSON line
 * for each piece of output and a last one with the exit code.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type http from 'node:http';
import { UserError } from '@chainmail/runtime';
import { type ApiContext, notFound } from './api-context.ts';
import { dieWithParent } from './container-process.ts';

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  /** The first app container when absent. */
  readonly container?: string;
  readonly command: readonly string[];
  /** `network`: not in the container, but as root with the host's files in the pod's network namespace. */
  readonly scope?: 'container' | 'network';
}

export type ExecFrame = { readonly stream: 'stdout' | 'stderr'; readonly data: string } | { readonly exitCode: number };

export const execHeader = 'x-chainmail-exec';

interface Program {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A container that has just been started needs a moment until its root is complete. */
async function whenComplete<T>(look: () => T | undefined): Promise<T | undefined> {
  for (let tried = 0; tried < 40; tried++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  return undefined;
}

async function programOf(wanted: ExecRequest, api: ApiContext): Promise<Program> {
  const runner = api.supervisor.runner(`${wanted.namespace}/${wanted.pod}`);
  if (runner === undefined) throw notFound(`there is no pod ${wanted.namespace}/${wanted.pod}`);
  if (wanted.scope === 'network') {
    if (runner.netns === undefined) throw notFound(`pod ${wanted.pod} has no network yet`);
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
    return { argv: [...dieWithParent, 'nsenter', `--net=${runner.netns}`, '--', ...wanted.command], env };
  }
  const container = wanted.container ?? runner.containerNames()[0] ?? '';
  if (!runner.containerNames().includes(container)) {
    throw notFound(`pod ${wanted.pod} has no container ${container}; it has ${runner.containerNames().join(', ')}`);
  }
  const inside = await whenComplete(() => runner.execInside(container, wanted.command));
  if (inside === undefined) throw new UserError('LOCAL_NOT_RUNNING', `container ${container} is not running`);
  return inside;
}

function pipeOutput(child: ChildProcess, response: http.ServerResponse): void {
  const send = (frame: ExecFrame): boolean => response.write(`${JSON.stringify(frame)}\n`);
  for (const stream of ['stdout', 'stderr'] as const) {
    const source = child[stream];
    source?.on('data', (d: Buffer) => {
      if (send({ stream, data: d.toString('base64') })) return;
      source.pause();
      response.once('drain', () => source.resume());
    });
  }
  child.on('error', () => {
    send({ exitCode: 126 });
    response.end();
  });
  child.on('close', (code) => {
    if (response.writableEnded) return;
    send({ exitCode: code ?? 137 });
    response.end();
  });
}

export async function serveExec(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  api: ApiContext,
): Promise<void> {
  const header = request.headers[execHeader];
  const wanted = JSON.parse(Buffer.from(String(header), 'base64').toString()) as ExecRequest;
  if (!Array.isArray(wanted.command) || wanted.command.length === 0) {
    throw new UserError('LOCAL_EXEC', 'no command given');
  }
  const { argv, env } = await programOf(wanted, api);
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  child.stdin.on('error', () => {}); // it does not read its input
  request.pipe(child.stdin);
  response.on('close', () => child.kill('SIGKILL'));
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  pipeOutput(child, response);
}
