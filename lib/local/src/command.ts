/** Runs a program to its end and gives its output; a failure says which command and what it printed. */
import { spawn } from 'node:child_process';
import { UserError } from '@chainmail/runtime';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Never rejects for an exit code; rejects with a UserError when the program is not there. */
export function tryRun(program: string, args: readonly string[], input = ''): Promise<CommandResult> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: path, LC_ALL: 'C' } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (d: Buffer) => out.push(d));
    child.stderr.on('data', (d: Buffer) => err.push(d));
    child.stdin.on('error', () => {}); // it ended without reading; its exit code tells the story
    child.stdin.end(input);
    child.on('error', (cause) =>
      fail(
        new UserError('LOCAL_COMMAND_MISSING', `cannot run ${program}`, { hint: 'npm run setup installs it', cause }),
      ),
    );
    child.on('close', (code) =>
      done({ code: code ?? 255, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
  });
}

/** As tryRun, but a non-zero exit is an error. */
export async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  const result = await tryRun(program, args, input);
  if (result.code === 0) return result.stdout;
  const shown = [program, ...args].join(' ');
  throw new UserError('LOCAL_COMMAND_FAILED', `${shown}: exit ${result.code}: ${result.stderr.trim() || 'no message'}`);
}
