/** What inject and uninject share: read files or stdin, write the text to stdout and the report to stderr. */
import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import type { PodReport, TextResult } from '@chainmail/injector';
import { UserError } from '@chainmail/runtime';

/** `-` is stdin. */
export async function readManifest(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UserError('MANIFEST_UNREADABLE', `${file}: ${(cause as NodeJS.ErrnoException).code ?? 'unreadable'}`, {
      hint: 'give a file of YAML or JSON, or - for stdin',
      cause,
    });
  }
}

/** Does something with a text; what is wrong in it is told with the name of its file. */
export function inFile<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { code, message, hint, cause } = error;
    throw new UserError(code, `${file === '-' ? 'stdin' : file}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      cause,
    });
  }
}

/** A line for each pod: what was decided, and why. */
function reportLines(pods: readonly PodReport[]): string[] {
  return pods.flatMap((p) => {
    const name = `${p.kind}/${p.name}`;
    const more = [...p.refusals.map((r) => `refused: ${r}`), ...p.warnings.map((w) => `warning: ${w}`), ...p.notes];
    return [`${name}: ${p.decision.kind} (${p.decision.reason})`, ...more.map((m) => `  ${m}`)];
  });
}

/** True when no pod was refused. */
export function printManifest(result: TextResult, quiet: boolean): boolean {
  process.stdout.write(result.text);
  if (!quiet) for (const line of reportLines(result.pods)) process.stderr.write(`${line}\n`);
  return result.pods.every((p) => p.refusals.length === 0);
}
