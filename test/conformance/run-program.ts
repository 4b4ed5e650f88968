/** Runs a foreign program to its end, bounded in time, and finds those that Debian brings. */
import { execFileSync, spawn } from 'node:child_process';

export interface Outcome {
  /** Exit code, or null when it took too long or was ended by a signal. */
  readonly code: number | null;
  readonly output: string;
}

/** Standard output and error together, in the order in which they came. */
export function runProgram(command: readonly string[], timeoutMs: number, input?: string): Promise<Outcome> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    const end = (code: number | null, more = ''): void => {
      clearTimeout(timer);
      resolve({ code, output: Buffer.concat(chunks).toString() + more });
    };
    const timer = setTimeout(() => {
      chunks.push(Buffer.from(`\n(ended after ${timeoutMs} ms)`));
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => end(null, error.message));
    child.on('close', (code) => end(code));
  });
}

/** Runs a program that must end well. */
export async function succeed(command: readonly string[], timeoutMs: number): Promise<string> {
  const { code, output } = await runProgram(command, timeoutMs);
  if (code !== 0) throw new Error(`${command.join(' ')}\nexit ${code}: ${output.slice(-2000)}`);
  return output;
}

function onPath(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Null when the program is there, after installing its package where that can be done; otherwise why it is not. */
export function missingProgram(program: string, debianPackage: string): string | null {
  if (onPath(program)) return null;
  const install = `apt-get install -y --no-install-recommends ${debianPackage}`;
  if (process.getuid?.() === 0 && onPath('apt-get')) {
    try {
      execFileSync('sh', ['-c', `${install} || { apt-get update && ${install}; }`], { stdio: 'ignore' });
    } catch {
      // said below
    }
    if (onPath(program)) return null;
  }
  return `${program} is missing; install it:  ${install}`;
}
