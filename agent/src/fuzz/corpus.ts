/** The inputs that are kept: test/fuzz/corpus/<target>/<hash>, each a few bytes that once reached something new. */
import fs from 'node:fs';
import path from 'node:path';

export const corpusDirectory: string = path.resolve(import.meta.dirname, '../../../test/fuzz/corpus');

export function readCorpus(target: string): readonly Buffer[] {
  const directory = path.join(corpusDirectory, target);
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .sort()
    .map((name) => fs.readFileSync(path.join(directory, name)));
}
