import test from 'ava';
import { type AppProtocol, appProtocolOf } from './app-protocol.ts';

const cases: readonly [string, Parameters<typeof appProtocolOf>[0], AppProtocol][] = [
  ['appProtocol goes first', { appProtocol: 'tcp', name: 'http', number: 80 }, 'tcp'],
  ['then the prefix of the name', { name: 'grpc-api', number: 3306 }, 'http2'],
  ['then the ports where the server speaks first', { name: 'db', number: 3306 }, 'tcp'],
  ['else the bytes decide', { name: 'api', number: 80 }, 'auto'],
  ['a prefix is a whole word', { name: 'httpd', number: 80 }, 'auto'],
  ['an unknown appProtocol is no answer', { appProtocol: 'example.com/x', name: 'http-web', number: 80 }, 'http'],
  ['TLS is opaque', { appProtocol: 'HTTPS', number: 443 }, 'tcp'],
  ['h2c by its Kubernetes name', { appProtocol: 'kubernetes.io/h2c', number: 80 }, 'http2'],
];

for (const [what, port, expected] of cases) test(what, (t) => t.is(appProtocolOf(port), expected));
