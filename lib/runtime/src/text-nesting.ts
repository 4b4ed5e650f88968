/**
 * Whether a text of YAML or JSON nests deeper than any configuration does. To be asked before a parser is: depth costs
 * YAML parsers quadratic time and everybody stack, so half a megabyte of `[` would stop a control plane for minutes.
 */

/** Configuration and Kubernetes objects stay below 40. */
export const maxNesting = 256;

const compactNesting = new RegExp(`^[ \\t]*(?:[-?:][ \\t]+){${maxNesting},}`, 'm');

/** Brackets in strings and comments count like others: more than 256 open at once have no place there either. */
export function nestsTooDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 91 || c === 123) {
      if (++depth > maxNesting) return true;
    } else if ((c === 93 || c === 125) && depth > 0) depth--;
  }
  return compactNesting.test(text);
}

/** Whether a value contains itself, as YAML's anchors can make one: whoever walks it would never come back. */
export function hasCycle(value: unknown): boolean {
  const open = new Set<object>();
  const done = new Set<object>();
  const visit = (node: unknown): boolean => {
    if (typeof node !== 'object' || node === null || done.has(node)) return false;
    if (open.has(node)) return true;
    open.add(node);
    const found = Object.values(node).some(visit);
    open.delete(node);
    done.add(node);
    return found;
  };
  return visit(value);
}
