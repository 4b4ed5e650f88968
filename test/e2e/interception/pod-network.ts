/** Two network namespaces, a pod and the world outside it, joined by a veth pair with IPv4 and IPv6. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export type FamilyName = 'IPv4' | 'IPv6';

export interface Addresses {
  readonly pod: string;
  readonly outside: string;
  /** Routed to the outside, nobody has it. */
  readonly vip: string;
  /** An address of the outside in a network of its own. */
  readonly excluded: string;
  readonly excludedCidr: string;
  readonly loopback: string;
  readonly agentSource: string;
}

export const addresses: Readonly<Record<FamilyName, Addresses>> = {
  IPv4: {
    pod: '10.201.0.2',
    outside: '10.201.0.1',
    vip: '10.96.0.1',
    excluded: '198.51.100.1',
    excludedCidr: '198.51.100.0/24',
    loopback: '127.0.0.1',
    agentSource: '127.0.0.6',
  },
  IPv6: {
    pod: 'fd99::2',
    outside: 'fd99::1',
    vip: 'fd96::1',
    excluded: 'fd98::1',
    excludedCidr: 'fd98::/64',
    loopback: '::1',
    agentSource: '::6',
  },
};

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class PodNetwork {
  readonly pod: string;
  readonly outside: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string) {
    this.pod = `ci-${name}-pod`;
    this.outside = `ci-${name}-out`;
    this.#removeNamespaces(); // left by a run that was killed
    for (const args of setUp(this.pod, this.outside)) must('ip', args);
  }

  /** Runs a program in a namespace to its end. */
  run(namespace: string, command: string, args: readonly string[]): Outcome {
    return run('ip', ['netns', 'exec', namespace, command, ...args]);
  }

  /** Runs one of the scripts beside this file with one JSON argument. */
  script(namespace: string, name: string, argument: unknown): string {
    const result = this.run(namespace, process.execPath, [script(name), JSON.stringify(argument)]);
    if (result.code !== 0) throw new Error(`${name}: ${result.stderr}`);
    return result.stdout;
  }

  /** Starts servers that answer with their name; resolves when all listen. */
  async serve(namespace: string, servers: readonly { name: string; host: string; port: number }[]): Promise<void> {
    const args = ['netns', 'exec', namespace, process.execPath, script('name-servers.ts'), JSON.stringify(servers)];
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the servers in ${namespace} ended with ${code}`);
    });
    await Promise.race([once(child.stdout, 'data'), ended]);
  }

  async close(): Promise<void> {
    await this.stopServers();
    this.#removeNamespaces();
  }

  async stopServers(): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async (child) => {
        const ended = once(child, 'exit').catch(() => {});
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  #removeNamespaces(): void {
    for (const namespace of [this.pod, this.outside]) run('ip', ['netns', 'del', namespace]);
  }
}

function setUp(pod: string, outside: string): readonly (readonly string[])[] {
  const [v4, v6] = [addresses.IPv4, addresses.IPv6];
  return [
    ['netns', 'add', pod],
    ['netns', 'add', outside],
    ['link', 'add', 'eth0', 'netns', pod, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside],
    ['-n', pod, 'addr', 'add', `${v4.pod}/24`, 'dev', 'eth0'],
    ['-n', pod, 'addr', 'add', `${v6.pod}/64`, 'dev', 'eth0', 'nodad'],
    ['-n', outside, 'addr', 'add', `${v4.outside}/24`, 'dev', 'eth0'],
    ['-n', outside, 'addr', 'add', `${v6.outside}/64`, 'dev', 'eth0', 'nodad'],
    ['-n', outside, 'addr', 'add', `${v4.excluded}/32`, 'dev', 'lo'],
    ['-n', outside, 'addr', 'add', `${v6.excluded}/128`, 'dev', 'lo', 'nodad'],
    ['-n', pod, 'link', 'set', 'eth0', 'up'],
    ['-n', outside, 'link', 'set', 'eth0', 'up'],
    ['-n', outside, 'link', 'set', 'lo', 'up'],
    ['-n', pod, 'route', 'add', 'default', 'via', v4.outside],
    ['-n', pod, '-6', 'route', 'add', 'default', 'via', v6.outside],
  ];
}

function script(name: string): string {
  return path.join(import.meta.dirname, name);
}

function run(command: string, args: readonly string[]): Outcome {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  return { code: result.status ?? -1, stdout: result.stdout ?? '', stderr: result.stderr ?? String(result.error) };
}

function must(command: string, args: readonly string[]): void {
  const result = run(command, args);
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
}
