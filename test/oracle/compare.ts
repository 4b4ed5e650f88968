/** What both proxies did with one case, side by side: values that must differ are masked, the rest is compared. */
import type { Outcome } from './ask.ts';
import type { Message } from './message.ts';

export type Part = 'response' | 'upstream' | 'connection';

export type Findings = { readonly [P in Part]: string };

const masks: Readonly<Record<string, (value: string) => string>> = {
  date: (v) => (/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(v) ? '<date>' : v),
  'x-request-id': (v) => (/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(v) ? '<uuid>' : v),
  'x-envoy-upstream-service-time': (v) => (/^\d{1,4}$/.test(v) ? '<ms>' : v),
  // A retry tells the time that is left.
  'x-envoy-expected-rq-timeout-ms': (v) => (/^1[34]\d{3}$/.test(v) ? '<left>' : v),
};

function text(m: Message): string {
  const fields = m.headers.map(([n, v]) => `${n}: ${masks[n]?.(v) ?? v}`);
  const trailers = m.trailers.map(([n, v]) => `${n}: ${v}`);
  const body = m.body.length > 400 ? `${m.body.slice(0, 400)}... (${m.body.length})` : m.body;
  // A PROXY header in front of a tunnel's bytes; the ports are each proxy's own.
  const start = m.start.replace(/^(PROXY TCP4 \S+ \S+) \d+ \d+$/, '$1 <ports>');
  return [start, ...fields, '', body, ...trailers].join('\n').trimEnd();
}

const short = (s: string): string => (s.length > 3000 ? `${s.slice(0, 3000)}... (${s.length})` : s);

export function findings(outcome: Outcome, seen: readonly Message[], unordered = false): Findings {
  const upstream = seen.map(text);
  return {
    response: short(
      [...outcome.responses.map(text), ...(outcome.rest === '' ? [] : [`rest: ${outcome.rest}`])].join('\n--\n'),
    ),
    upstream: short((unordered ? upstream.sort() : upstream).join('\n--\n')),
    connection: outcome.connection === 'reset' ? 'closed' : outcome.connection,
  };
}

export const parts = ['response', 'upstream', 'connection'] as const satisfies readonly Part[];
