/** Objects that are not deleted but cannot be read now: a file being written, a folder being replaced. */
import { objectKey } from './object.ts';
import type { FileProblem, Loaded, LoadedObject } from './parse-objects.ts';

/** The problem is of this file, or of a folder around it. */
export function hides({ origin }: FileProblem, file: string): boolean {
  return origin.file === file || file.startsWith(origin.file.endsWith('/') ? origin.file : `${origin.file}/`);
}

/** What was read, and what was read before where a problem now hides it. */
export function withOutOfSight(now: Loaded, before: readonly LoadedObject[]): Loaded {
  if (now.problems.length === 0) return now;
  const seen = new Set(now.objects.map((o) => objectKey(o.object)));
  const hidden = before.filter(
    ({ object, origin }) => !seen.has(objectKey(object)) && now.problems.some((p) => hides(p, origin.file)),
  );
  return { objects: [...now.objects, ...hidden], problems: now.problems };
}
