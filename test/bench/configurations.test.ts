import test from 'ava';
import { accessLogOf, envoyConfig, type Hop, haproxyConfig, nghttpxCommand, nginxConfig } from './configurations.ts';

const leaf = { cert: '/cert', key: '/key', id: 'spiffe://bench.local/a' };
const certs = { ca: '/ca', client: leaf, server: leaf };

const configurationOf: Readonly<Record<string, (hop: Hop) => string>> = {
  agent: (hop) => envoyConfig(hop, 3, accessLogOf('agent', hop)),
  nginx: nginxConfig,
  haproxy: haproxyConfig,
  nghttpx: (hop) => nghttpxCommand(hop).join('\n'),
};

test('a peer is said to write the access log that its configuration names, and none otherwise', (t) => {
  for (const rich of [true, false]) {
    const hop: Hop = { role: 'ingress', listen: 1, upstream: 2, certs, rich, dir: '/bench' };
    for (const [peer, configuration] of Object.entries(configurationOf)) {
      const written = /\/bench\/[\w-]+\.access\.log/.exec(configuration(hop))?.[0] ?? null;
      t.is(accessLogOf(peer, hop), written, `${peer}, rich: ${rich}`);
      t.is(written !== null, rich && peer !== 'haproxy', `${peer}, rich: ${rich}`);
    }
  }
});
