/** What /etc/resolv.conf says (resolv.conf(5)), as far as a resolver of ours needs it. Lines it cannot read do nothing. */
import { isIP } from '../sys/ip-text.ts';

export interface ResolvConf {
  readonly resolvers: readonly string[];
  /** Lower case, without dots at the ends. */
  readonly search: readonly string[];
  /** A name with fewer dots is tried below the search domains first. */
  readonly ndots: number;
}

/** The C library takes no more. */
const maxResolvers = 3;
const maxNdots = 15;

export function parseResolvConf(text: string): ResolvConf {
  const resolvers: string[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && isIP(values[0] ?? '')) resolvers.push(values[0] ?? '');
    else if (keyword === 'search' || keyword === 'domain') search = values.map(bareName).filter((d) => d !== '');
    else if (keyword === 'options') ndots = ndotsOf(values) ?? ndots;
  }
  return { resolvers: resolvers.slice(0, maxResolvers), search, ndots };
}

function ndotsOf(options: readonly string[]): number | null {
  const found = options.map((o) => /^ndots:([0-9]{1,3})$/.exec(o)?.[1]).find((n) => n !== undefined);
  return found === undefined ? null : Math.min(maxNdots, Number(found));
}

export function bareName(name: string): string {
  return name.toLowerCase().replace(/^\.+|\.+$/g, '');
}
