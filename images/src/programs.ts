/** One esbuild bundle for each program, made by the same recipe as the one that `npm run setup` makes of the agent. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { nodePath } from './base-layers.ts';
import { FileTree } from './file-tree.ts';
import type { Workshop } from './workshop.ts';

export const programs = ['chainmail-agent', 'chainmail-control', 'chainmail-ca', 'chainmail-injector'] as const;
export type Program = (typeof programs)[number];

export const programFolder = 'chainmail';

/**
 * The program by its name, for `kubectl exec` and meshctl: there is no shell in an image, and the entry point is Node
 * with its flags. The kernel hands over one argument of this line.
 */
const starter = `#!${nodePath} --no-warnings\nimport('/${programFolder}/main.js');\n`;

export interface Bundled {
  /** The bundle's files below /chainmail, for all processors. */
  readonly tree: FileTree;
  /** Code that V8 has made of them, for processors like this machine's; empty for programs that do not rehearse. */
  readonly code: FileTree;
  /** What Node gets. */
  readonly flags: readonly string[];
}

export async function bundled(workshop: Workshop, program: Program): Promise<Bundled> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-bundle-'));
  try {
    const script = path.join(workshop.root, 'scripts/bundle-program.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [script, program, dir]);
    const tree = new FileTree();
    const code = new FileTree();
    for (const file of fs.readdirSync(dir)) {
      const bytes = fs.readFileSync(path.join(dir, file));
      (file.endsWith('.cache') ? code : tree).bytes(`${programFolder}/${file}`, bytes);
    }
    tree.text(`usr/bin/${program}`, starter, 0o755);
    return { tree, code, flags: JSON.parse(stdout) };
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}
