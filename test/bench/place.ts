/** Where a bench runs: a folder of its own, certificates, ports, and the nginx that answers everything. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeCertificates } from './certificates.ts';
import { type BenchPlace, loadCpu } from './peers.ts';
import { listening, startPinned } from './process.ts';

const bodies: Readonly<Record<string, number>> = { '64k': 65_536, '1m': 1_048_576, '10m': 10_485_760 };
const firstPort = 18_000;
/** Paths `/v0` to here are there for rows whose requests differ. */
export const variedPaths = 1000;

/** Commands that a bench cannot do without, and the Debian package of each. */
const tools: Readonly<Record<string, string>> = { wrk: 'wrk', nginx: 'nginx-light', taskset: 'util-linux' };

const isThere = (tool: string): boolean =>
  ['/usr/bin', '/usr/sbin', '/bin', '/usr/local/bin'].some((dir) => fs.existsSync(path.join(dir, tool)));

/** The tools that are missing; install tries apt first. */
export function missingTools(install: boolean): readonly string[] {
  const missing = (): string[] => Object.keys(tools).filter((tool) => !isThere(tool));
  if (install && missing().length > 0) {
    const packages = missing().flatMap((tool) => tools[tool] ?? []);
    try {
      execFileSync(
        'sh',
        [
          '-c',
          `apt-get install -y -q ${packages.join(' ')} || { apt-get update -q && apt-get install -y -q ${packages.join(' ')}; }`,
        ],
        {
          stdio: 'ignore',
          env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        },
      );
    } catch {
      // said by whoever asked
    }
  }
  return missing();
}

export const toolHint = 'apt-get install -y wrk nginx-light haproxy util-linux';

function upstreamConfig(dir: string, port: number): string {
  for (const [name, bytes] of Object.entries(bodies)) fs.writeFileSync(path.join(dir, name), 'x'.repeat(bytes));
  const file = path.join(dir, 'upstream.conf');
  fs.writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${dir}/upstream.pid; error_log ${dir}/upstream.err; user root;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; sendfile on;
  server { listen 127.0.0.1:${port} reuseport; location / { return 200 "hello from upstream\\n"; } root ${dir};
    ${Object.keys(bodies)
      .map((name) => `location = /${name} {}`)
      .join(' ')} } }
`,
  );
  return file;
}

/** Files of the folder over HTTP/2, with the trailers of a call that went well where it stands for a gRPC server. */
async function startHttp2(dir: string, port: number, grpc: boolean): Promise<number> {
  fs.writeFileSync(path.join(dir, 'small'), '\0\0\0\0\x0ahello gRPC');
  for (let i = 0; i < variedPaths; i++) fs.writeFileSync(path.join(dir, `v${i}`), '\0\0\0\0\x0ahello gRPC');
  const trailer = grpc ? ['--trailer=grpc-status: 0'] : [];
  const log = path.join(dir, `nghttpd-${port}.log`);
  const command = ['nghttpd', '--no-tls', '-a', '127.0.0.1', '-d', dir, '-m', '1000', ...trailer, String(port)];
  const child = startPinned(loadCpu, command, log);
  await listening(child, port, log);
  return port;
}

/** Starts the upstream; everything goes when the process ends. */
export async function openPlace(): Promise<BenchPlace> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-bench-'));
  fs.chmodSync(dir, 0o755);
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  let port = firstPort;
  const certs = makeCertificates(dir);
  for (const who of ['client', 'server'] as const) {
    const pem = fs.readFileSync(certs[who].cert, 'utf8') + fs.readFileSync(certs[who].key, 'utf8');
    fs.writeFileSync(path.join(dir, `${who}.pem`), pem);
  }
  const http2 = new Map<boolean, Promise<number>>();
  const http2Upstream = (grpc: boolean): Promise<number> => {
    const known = http2.get(grpc) ?? startHttp2(dir, port++, grpc);
    http2.set(grpc, known);
    return known;
  };
  const place: BenchPlace = { dir, certs, upstream: port++, http2Upstream, nextPort: () => port++ };
  const log = path.join(dir, 'upstream.log');
  const upstream = startPinned(loadCpu, ['nginx', '-c', upstreamConfig(dir, place.upstream)], log);
  await listening(upstream, place.upstream, log);
  return place;
}
