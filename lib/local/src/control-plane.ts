/** The mesh's own processes on the node: their command lines, tokens, and the order in which they can start. */
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, ports, system, type Timer, tokenAudience } from '@chainmail/runtime';
import { addressPlan } from './address-plan.ts';
import { Component, type ComponentStatus, writeAtomically } from './component.ts';
import { agentImage, nodeFolder } from './images.ts';
import { LogFile } from './log-file.ts';
import type { RunPaths } from './run-paths.ts';
import { renewTokenAt, type TokenIssuer } from './service-account-token.ts';

export interface MeshOptions {
  readonly trustDomain: string;
  /** Lifetime of certificates in seconds; 0 for the CA's default. */
  readonly certificateTtlSeconds: number;
  readonly logLevel: string;
  /** Worker threads of each agent; 0 lets the agent decide. */
  readonly concurrency: number;
}

export const componentNames = ['ca', 'control', 'injector'] as const;
export type ComponentName = (typeof componentNames)[number];

const accounts: Readonly<Record<ComponentName, string>> = {
  ca: system.caServiceAccount,
  control: system.controlServiceAccount,
  injector: system.injectorServiceAccount,
};

const entries: Readonly<Record<ComponentName, string>> = {
  ca: 'certs/src/main.ts',
  control: 'control/src/main.ts',
  injector: 'injector/src/main.ts',
};

const node = addressPlan.nodeV4;
const tokenSeconds = 3600;

export const webhookOf = (paths: RunPaths): { host: string; port: number; bundleFile: string } => ({
  host: node,
  port: ports.injector,
  bundleFile: paths.bundle,
});

interface Setting {
  readonly paths: RunPaths;
  readonly dirs: readonly string[];
  readonly mesh: MeshOptions;
  readonly issuer: string;
}

const tokenFile = (paths: RunPaths, name: ComponentName): string => path.join(paths.private, 'tokens', accounts[name]);

/** The flags of each process, as docs/local.md lists them. Pure. */
function componentArguments(name: ComponentName, s: Setting): readonly string[] {
  const { paths, mesh } = s;
  const ttl = mesh.certificateTtlSeconds;
  const level = ['--log-level', mesh.logLevel];
  const identity = [
    '--ca',
    `${node}:${ports.ca}`,
    '--token-file',
    tokenFile(paths, name),
    '--trust-bundle',
    paths.bundle,
  ];
  switch (name) {
    case 'ca':
      return [
        ...['--state-dir', paths.caState, '--trust-domain', mesh.trustDomain, '--listen', `${node}:${ports.ca}`],
        ...['--attest-jwks', paths.jwks, '--attest-issuer', s.issuer, '--bundle-file', paths.bundle],
        ...['--pods-dir', paths.objects, ...(ttl === 0 ? [] : ['--default-ttl', `${ttl}s`]), ...level],
      ];
    case 'control':
      return [
        ...['--source', paths.objects, ...s.dirs.flatMap((d) => ['--source', d])],
        ...['--listen', `${node}:${ports.control}`, '--metrics-listen', `0.0.0.0:${ports.controlMetrics}`],
        ...['--trust-domain', mesh.trustDomain, ...identity, '--status-dir', paths.status],
        ...(ttl === 0 ? [] : ['--certificate-ttl', `${ttl}s`]),
        ...level,
      ];
    case 'injector':
      return [
        ...['--listen', `${node}:${ports.injector}`, '--values', paths.values, ...identity],
        ...['--namespaces-dir', paths.objects, ...level],
      ];
  }
}

/** What the injector puts into pods here. Pure. */
function injectorValues(mesh: MeshOptions): Readonly<Record<string, unknown>> {
  return {
    image: agentImage,
    trustDomain: mesh.trustDomain,
    controlAddress: `${node}:${ports.control}`,
    caAddress: `${node}:${ports.ca}`,
    certificateTtlSeconds: mesh.certificateTtlSeconds,
    concurrency: mesh.concurrency,
    logLevel: mesh.logLevel,
  };
}

export class ControlPlane {
  readonly #setting: Setting;
  readonly #clock: Clock;
  readonly #tokens: TokenIssuer;
  readonly #serviceAccountUid: (namespace: string, name: string) => string;
  readonly #components: Readonly<Record<ComponentName, Component>>;
  #timer: Timer | undefined;

  constructor(options: {
    readonly setting: Setting;
    readonly repository: string;
    readonly clock: Clock;
    readonly tokens: TokenIssuer;
    readonly serviceAccountUid: (namespace: string, name: string) => string;
  }) {
    this.#setting = options.setting;
    this.#clock = options.clock;
    this.#tokens = options.tokens;
    this.#serviceAccountUid = options.serviceAccountUid;
    const make = (name: ComponentName): Component => {
      const program = [path.join(options.repository, nodeFolder(), 'node'), '--no-warnings'];
      const argv = [
        ...program,
        path.join(options.repository, entries[name]),
        ...componentArguments(name, this.#setting),
      ];
      const log = new LogFile(path.join(this.#setting.paths.logs, system.namespace, `${name}.log`));
      return new Component(name, argv, log, options.clock);
    };
    this.#components = { ca: make('ca'), control: make('control'), injector: make('injector') };
  }

  component(name: ComponentName): Component {
    return this.#components[name];
  }

  statuses(): readonly ComponentStatus[] {
    return componentNames.map((n) => this.#components[n].status());
  }

  /** CA first: the others need its bundle. Resolves when all have been started, not when they are ready. */
  async start(): Promise<void> {
    const { paths, mesh } = this.#setting;
    fs.mkdirSync(path.dirname(tokenFile(paths, 'ca')), { recursive: true, mode: 0o700 });
    fs.mkdirSync(paths.status, { recursive: true });
    fs.mkdirSync(paths.caState, { recursive: true, mode: 0o700 });
    writeAtomically(paths.jwks, JSON.stringify(this.#tokens.jwks()), 0o644);
    writeAtomically(paths.values, JSON.stringify(injectorValues(mesh), null, 1), 0o644);
    this.#writeTokens();
    this.#components.ca.start();
    while (!fs.existsSync(paths.bundle)) await this.#pause(50);
    this.#components.control.start();
    this.#components.injector.start();
  }

  trimLogs(): void {
    for (const name of componentNames) this.#components[name].trimLog();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await Promise.all(componentNames.map((n) => this.#components[n].stop()));
  }

  #writeTokens(): void {
    for (const name of componentNames) {
      const account = accounts[name];
      const { token } = this.#tokens.mint({
        namespace: system.namespace,
        serviceAccount: { name: account, uid: this.#serviceAccountUid(system.namespace, account) },
        audience: tokenAudience,
        expirationSeconds: tokenSeconds,
      });
      writeAtomically(tokenFile(this.#setting.paths, name), token, 0o600);
    }
    this.#timer = this.#clock.after(tokenSeconds * 1000 * renewTokenAt, () => this.#writeTokens());
  }

  #pause(ms: number): Promise<void> {
    return new Promise((done) => this.#clock.after(ms, done));
  }
}
