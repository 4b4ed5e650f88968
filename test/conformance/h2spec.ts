/** h2spec: RFC 9113 and RFC 7541 from the side of a client that breaks every rule, 145 cases. */
import fs from 'node:fs';
import path from 'node:path';
import { runProgram } from './run-program.ts';
import type { Tally } from './tally.ts';

/** With fewer, a version or a broken run would look like success. */
export const h2specCases = 145;
const timeoutMs = 240_000;

interface Report {
  readonly name: string;
  readonly failure: string | null;
  readonly skipped: boolean;
}

const entities: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
  '#34': '"',
  '#39': "'",
  '#xA': '\n',
  '#x9': '\t',
};
const plainText = (text: string): string => text.replace(/&([^;]+);/g, (whole, name) => entities[name] ?? whole);

/** Cases of its JUnit file. */
export function readReport(xml: string): readonly Report[] {
  return [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(([, head = '', body = '']) => {
    const attribute = (name: string): string => plainText(new RegExp(`${name}="([^"]*)"`).exec(head)?.[1] ?? '');
    const failure = /<(?:failure|error)[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body);
    return {
      name: `${attribute('package')} ${attribute('classname')}`,
      failure: failure === null ? null : plainText(failure[1] ?? '').trim() || 'failed',
      skipped: body.includes('<skipped'),
    };
  });
}

/** Runs all cases against a port. */
export async function h2spec(program: string, port: number, tls: boolean, dir: string, tally: Tally): Promise<void> {
  const file = path.join(dir, `h2spec-${port}.xml`);
  const command = [program, '-h', '127.0.0.1', '-p', String(port), '-j', file, '-o', '2', '-P', '/h2spec'];
  const { output } = await runProgram([...command, ...(tls ? ['-t', '-k'] : [])], timeoutMs);
  const found = fs.existsSync(file) ? readReport(fs.readFileSync(file, 'utf8')) : [];
  if (found.length !== h2specCases) {
    tally.check('all cases ran', `${found.length} of ${h2specCases}:\n${output.slice(-1500)}`);
  }
  for (const { name, failure, skipped } of found) tally.check(name, skipped ? 'h2spec skipped it' : failure);
}
