import { createLogger, ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { AuditLog } from './audit.ts';

test('a flood of refusals for their rate is thinned out, and accounted for', (t) => {
  const lines: Record<string, unknown>[] = [];
  const sink = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const clock = new ManualClock();
  const audit = new AuditLog(createLogger({ component: 'ca', sink }), clock);
  const flood = { code: 'rate-limited', reason: 'too many', peer: '10.0.0.1:1', caller: undefined } as const;
  for (let i = 0; i < 1000; i++) audit.refused(flood);
  t.is(lines.length, 5);
  audit.refused({ ...flood, code: 'unauthenticated' });
  t.is(lines.length, 6);
  t.like(lines[5], { audit: 'refused', code: 'unauthenticated', untold: 995 });
  t.is(audit.counts.refused.get('rate-limited'), 1000);
});
