/** The real CA, control plane and injector as processes on loopback, and the keys that an attacker would have to steal. */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { system, tokenAudience } from '@chainmail/runtime';
import { freePort } from '@chainmail/runtime/testing';
import { program } from './agent.ts';
import type { Material } from './certificates.ts';

const issuer = 'https://kubernetes.default.svc';
type Json = Readonly<Record<string, unknown>>;

const pod = (name: string, account: string, ip: string): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: `uid-of-${name}`, labels: { app: account } },
  spec: {
    serviceAccountName: account,
    initContainers: [{ name: 'mesh-init' }, { name: 'mesh-agent', restartPolicy: 'Always' }],
    containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }],
  },
  status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
});

export class Mesh {
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'attack-mesh-'));
  readonly #key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #children: ChildProcess[] = [];
  readonly #output = new Map<ChildProcess, string>();
  caPort = 0;
  controlPort = 0;
  metricsPort = 0;
  injectorPort = 0;

  file(name: string): string {
    return path.join(this.dir, name);
  }

  /** A service-account token; claims are laid over the usual ones. */
  token(account: string, podName: string | null, namespace = 'shop', claims: Json = {}, header: Json = {}): string {
    const now = Math.floor(Date.now() / 1000);
    const bound = podName === null ? {} : { pod: { name: podName, uid: `uid-of-${podName}` } };
    const usual = {
      iss: issuer,
      aud: [tokenAudience],
      sub: `system:serviceaccount:${namespace}:${account}`,
      exp: now + 600,
      iat: now,
      nbf: now,
      'kubernetes.io': { namespace, serviceaccount: { name: account, uid: 'uid-of-account' }, ...bound },
      ...claims,
    };
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${encode({ alg: 'ES256', kid: 'k', ...header })}.${encode(usual)}`;
    const { privateKey: key } = this.#key;
    return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  }

  /** The root's key: what no attacker has. With it every rule about leaves can be tried alone. */
  get root(): Material {
    const name = fs.readdirSync(this.file('ca')).sort().at(-1) ?? '';
    const { roots } = JSON.parse(fs.readFileSync(path.join(this.file('ca'), name), 'utf8')) as {
      roots: { certificatePem: string; keyPem: string }[];
    };
    return { chainPem: roots[0]?.certificatePem ?? '', keyPem: roots[0]?.keyPem ?? '' };
  }

  get bundle(): string {
    return fs.readFileSync(this.file('bundle.pem'), 'utf8');
  }

  put(name: string, text: string): void {
    fs.writeFileSync(this.file(`objects/${name}`), text);
  }

  async #run(name: string, args: readonly string[], sign: RegExp): Promise<ChildProcess> {
    const child = program(name, args);
    this.#children.push(child);
    const keep = (chunk: unknown): void =>
      void this.#output.set(child, (this.#output.get(child) ?? '') + String(chunk));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const end = performance.now() + 30_000;
    while (!sign.test(this.#output.get(child) ?? '')) {
      if (child.exitCode !== null || performance.now() > end) throw new Error(`${name}: ${this.#output.get(child)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return child;
  }

  outputOf(at: number): string {
    const child = this.#children[at];
    return child === undefined ? '' : (this.#output.get(child) ?? '');
  }

  /** What those said last that have ended: '' when all are alive. */
  get dead(): string {
    const ended = this.#children.filter((c) => c.exitCode !== null || c.signalCode !== null);
    return ended.map((c) => `${c.spawnargs[0]}: ${(this.#output.get(c) ?? '').slice(-2000)}`).join('\n');
  }

  /** Resident memory of all in bytes. */
  rss(): number {
    const of = (c: ChildProcess): number =>
      Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${c.pid}/status`, 'utf8'))?.[1]) * 1024;
    return this.#children.reduce((sum, c) => sum + of(c), 0);
  }

  async start(): Promise<void> {
    fs.mkdirSync(this.file('objects'));
    const jwk = { ...this.#key.publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
    fs.writeFileSync(this.file('jwks.json'), JSON.stringify({ keys: [jwk] }));
    this.put('ns.json', '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}');
    this.put('pod.shop.web-1.json', JSON.stringify(pod('web-1', 'web', '10.1.0.5')));
    this.put('pod.shop.admin-1.json', JSON.stringify(pod('admin-1', 'admin', '10.1.0.6')));
    this.put('pod.shop.dotted-1.json', JSON.stringify(pod('dotted-1', 'a.b', '10.1.0.7')));
    for (const account of [system.controlServiceAccount, system.injectorServiceAccount]) {
      fs.writeFileSync(this.file(`token.${account}`), this.token(account, null, system.namespace));
    }
    fs.writeFileSync(this.file('values.yaml'), '{}');
    this.caPort = await freePort();
    const at = (port: number): string => `127.0.0.1:${port}`;
    await this.#run(
      'chainmail-ca',
      [
        ...['--state-dir', this.file('ca'), '--listen', at(this.caPort), '--attest-jwks', this.file('jwks.json')],
        ...['--attest-issuer', issuer, '--bundle-file', this.file('bundle.pem'), '--pods-dir', this.file('objects')],
        ...['--max-ttl', '1h', '--default-ttl', '10m'],
      ],
      /"msg":"ready"/,
    );
    const own = (account: string): string[] => [
      ...['--ca', at(this.caPort), '--token-file', this.file(`token.${account}`)],
      ...['--trust-bundle', this.file('bundle.pem')],
    ];
    [this.controlPort, this.metricsPort, this.injectorPort] = [await freePort(), await freePort(), await freePort()];
    const control = ['--source', this.file('objects'), '--listen', at(this.controlPort)];
    await Promise.all([
      this.#run(
        'chainmail-control',
        [...control, '--metrics-listen', at(this.metricsPort), ...own(system.controlServiceAccount)],
        /"msg":"listening"/,
      ),
      this.#run(
        'chainmail-injector',
        [
          ...['--listen', at(this.injectorPort), '--values', this.file('values.yaml')],
          ...['--namespaces-dir', this.file('objects'), ...own(system.injectorServiceAccount)],
        ],
        /"msg":"listening"/,
      ),
    ]);
    await this.#ready();
  }

  /** It listens before it holds its certificate. */
  async #ready(): Promise<void> {
    const end = performance.now() + 20_000;
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.metricsPort}/ready`).catch(() => null);
      if (answer?.status === 200) return;
      if (performance.now() > end) throw new Error('the control plane is not ready');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
