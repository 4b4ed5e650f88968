/**
 * JSON that needs no YAML parser. Invariant: what is not JSON, or has a key twice in one object (JSON.parse would take
 * the second in silence), is left to the YAML parser, which says what is wrong and where.
 */

/** Strings, braces, brackets, colons and commas of valid JSON; what lies between them does not matter here. */
const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs;

/** undefined when the text is not a JSON object, or not a sound one. */
export function parsePlainJson(text: string): { readonly value: unknown } | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return hasKeyTwice(text) ? undefined : { value };
  } catch {
    return undefined;
  }
}

/** The keys of the object that is open, null in a list. */
type Open = Set<string> | null;

function hasKeyTwice(json: string): boolean {
  const outer: Open[] = [];
  let keys: Open = null;
  let last = '';
  for (const [token] of json.matchAll(tokens)) {
    switch (token) {
      case '{':
      case '[':
        outer.push(keys);
        keys = token === '{' ? new Set() : null;
        break;
      case '}':
      case ']':
        keys = outer.pop() ?? null;
        break;
      case ':': {
        const key = JSON.parse(last) as string;
        if (keys?.has(key)) return true;
        keys?.add(key);
        break;
      }
      case ',':
        break;
      default:
        last = token;
    }
  }
  return false;
}
