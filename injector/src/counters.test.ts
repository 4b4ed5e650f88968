import test from 'ava';
import { Counters } from './counters.ts';

test('times fall into cumulative buckets', (t) => {
  const counters = new Counters();
  counters.record('inject', 0.002);
  counters.record('skip', 0.01);
  counters.record('error', 3);
  const text = counters.render(1_700_000_000_500);
  const value = (name: string): string | undefined =>
    text
      .split('\n')
      .find((l) => l.startsWith(`${name} `))
      ?.split(' ')[1];
  t.is(value('chainmail_injector_review_seconds_bucket{le="0.001"}'), '0');
  t.is(value('chainmail_injector_review_seconds_bucket{le="0.0025"}'), '1');
  t.is(value('chainmail_injector_review_seconds_bucket{le="0.01"}'), '2');
  t.is(value('chainmail_injector_review_seconds_bucket{le="1"}'), '2');
  t.is(value('chainmail_injector_review_seconds_bucket{le="+Inf"}'), '3');
  t.is(value('chainmail_injector_review_seconds_count'), '3');
  t.is(value('chainmail_injector_reviews_total{outcome="error"}'), '1');
  t.is(value('chainmail_injector_certificate_expiry_seconds'), '1700000000');
});
