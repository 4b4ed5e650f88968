/** Clients that nobody here wrote: h2load, nghttp and curl, through proxies to an application of Node's. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { missingProgram, runProgram, succeed } from './run-program.ts';
import type { Tally } from './tally.ts';

const programs = { h2load: 'nghttp2-client', nghttp: 'nghttp2-client', curl: 'curl' } as const;
const longMs = 60_000;

const expectText = (what: string, text: string, pattern: RegExp): void => {
  if (!pattern.test(text)) throw new Error(`${what}: no ${pattern} in\n${text.slice(-1200)}`);
};

/** Where the proxies listen: plain, or with TLS for any client. */
export interface Entrance {
  readonly port: number;
  readonly tls: boolean;
  readonly ca: string;
}

const urlOf = ({ port, tls }: Entrance, target: string): string =>
  `${tls ? 'https' : 'http'}://127.0.0.1:${port}${target}`;

/** Every stream of every connection succeeds with the right number of bytes. */
async function load(entrance: Entrance, target: string, bytes: number, more: readonly string[]): Promise<void> {
  const total = 3000;
  const shape = ['-n', String(total), '-c', '6', '-m', '32'];
  const output = await succeed(['h2load', ...shape, ...more, urlOf(entrance, target)], longMs);
  expectText('h2load', output, new RegExp(`${total} succeeded, 0 failed, 0 errored, 0 timeout`));
  expectText('h2load', output, new RegExp(`status codes: ${total} 2xx`));
  const body = Number(/traffic:.*\((\d+)\) data/.exec(output)?.[1] ?? 0);
  if (body !== total * bytes)
    throw new Error(`${body} bytes of bodies instead of ${total * bytes}\n${output.slice(-600)}`);
}

async function curlUpload(entrance: Entrance, dir: string, bytes: number): Promise<void> {
  const sent = path.join(dir, `upload-${bytes}`);
  if (!fs.existsSync(sent)) fs.writeFileSync(sent, Buffer.alloc(bytes, 'chainmail 0123456789\n'));
  const got = `${sent}.back`;
  const version = entrance.tls
    ? ['--http2', '--cacert', entrance.ca, '--connect-to', `mesh.local:${entrance.port}:127.0.0.1`]
    : ['--http2-prior-knowledge'];
  const url = entrance.tls ? `https://mesh.local:${entrance.port}/echo` : urlOf(entrance, '/echo');
  const command = [
    'curl',
    '-sS',
    '--fail',
    ...version,
    '--data-binary',
    `@${sent}`,
    '-o',
    got,
    '-w',
    '%{http_version} %{http_code}',
    url,
  ];
  const output = await succeed(command, longMs);
  if (output !== '2 200') throw new Error(`curl saw ${output}`);
  const sum = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  if (sum(sent) !== sum(got)) throw new Error('what came back is not what was sent');
}

/** HTTP/1.1 on the listener that also speaks HTTP/2: what a client speaks decides, not the port. */
async function curlHttp1(entrance: Entrance): Promise<void> {
  const trust = entrance.tls ? ['--cacert', entrance.ca, '--connect-to', `mesh.local:${entrance.port}:127.0.0.1`] : [];
  const url = entrance.tls ? `https://mesh.local:${entrance.port}/` : urlOf(entrance, '/');
  const output = await succeed(['curl', '-sS', '--fail', '--http1.1', ...trust, '-w', '%{http_version}', url], longMs);
  if (output !== 'hello\n1.1') throw new Error(`curl saw ${output}`);
}

/** Frames as nghttp prints them. */
async function nghttp(
  entrance: Entrance,
  args: readonly string[],
  target: string,
  wanted: readonly RegExp[],
): Promise<void> {
  const { code, output } = await runProgram(['nghttp', '-v', ...args, urlOf(entrance, target)], longMs);
  if (code !== 0) throw new Error(`nghttp: exit ${code}\n${output.slice(-1200)}`);
  for (const pattern of wanted) expectText('nghttp', output, pattern);
}

/** All of them at one entrance. Trailers come through either version of HTTP behind it. */
export async function foreignClients(entrance: Entrance, dir: string, tally: Tally): Promise<void> {
  const body = path.join(dir, 'body');
  fs.writeFileSync(body, Buffer.alloc(20_000, 'b'));
  for (const [program, debianPackage] of Object.entries(programs)) {
    const missing = missingProgram(program, debianPackage);
    if (missing !== null) {
      tally.skip(program, missing);
      return;
    }
  }
  await tally.attempt('h2load, small', () => load(entrance, '/', 6, []));
  await tally.attempt('h2load, 64 KiB', () => load(entrance, '/size/65536', 65_536, []));
  await tally.attempt('h2load, bodies of 20,000 bytes there and back', () => load(entrance, '/', 20_000, ['-d', body]));
  await tally.attempt('h2load, small windows', () => load(entrance, '/size/5000', 5000, ['-w', '10', '-W', '12']));
  await tally.attempt('curl, 1 MiB there and back', () => curlUpload(entrance, dir, 1_048_576));
  await tally.attempt('curl, 20 MiB there and back', () => curlUpload(entrance, dir, 20 * 1_048_576));
  await tally.attempt('curl, HTTP/1.1 at the same port', () => curlHttp1(entrance));
  const ok = /:status: 200/;
  await tally.attempt('nghttp, 50 streams at once', () => nghttp(entrance, ['-m', '50', '-n'], '/size/1000', [ok]));
  await tally.attempt('nghttp, trailers of a response', () =>
    nghttp(entrance, [], '/trailers', [ok, /x-end: reached/]),
  );
  await tally.attempt('nghttp, trailers of a request', () =>
    nghttp(entrance, ['-d', body, '--no-content-length', '--trailer', 'x-sum: 42'], '/', [ok, /x-trailer: 42/]),
  );
  await tally.attempt('nghttp, with CONTINUATION and padding', () =>
    nghttp(entrance, ['--continuation', '-b', '64', '-n'], '/', [ok]),
  );
}
