import test from 'ava';
import { foreignOrigin, isLoopbackAddress } from './origin.ts';

test('tools, probes and the own page are welcome', (t) => {
  for (const headers of [
    {},
    { host: 'localhost:15000' },
    { host: '127.0.0.1:15000' },
    { host: '[::1]:15000' },
    { host: '10.0.0.7' },
    { host: 'localhost:1', origin: 'http://localhost:1', 'sec-fetch-site': 'same-origin' },
    { host: 'localhost:1', 'sec-fetch-site': 'none' },
  ]) {
    t.is(foreignOrigin(headers, true), null, JSON.stringify(headers));
  }
  t.is(foreignOrigin({ host: 'envoy.internal:9901' }, false), null, 'a name where more than loopback listens');
});

test('pages of others and rebound names are not', (t) => {
  for (const headers of [
    { host: 'evil.test:15000' },
    { host: '127.0.0.1.evil.test' },
    { host: 'localhost.evil.test' },
    { host: '127.0.0.1:15000', origin: 'http://evil.test' },
    { host: '127.0.0.1:15000', origin: 'null' },
    { host: '127.0.0.1:15000', 'sec-fetch-site': 'cross-site' },
    { host: '127.0.0.1:15000', 'sec-fetch-site': 'same-site' },
  ]) {
    t.not(foreignOrigin(headers, true), null, JSON.stringify(headers));
  }
  t.true(isLoopbackAddress('127.0.0.1') && isLoopbackAddress('::1') && !isLoopbackAddress('0.0.0.0'));
});
