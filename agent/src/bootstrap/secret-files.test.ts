import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { freePort } from '@chainmail/runtime/testing';
import test from 'ava';
import { TestCa } from '../worker/testing.ts';
import { AgentProcess } from './testing/agent-process.ts';
import { folderWith, put } from './testing/folder.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

const tlsTypes = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

const config = (port: number, dir: string): string => `
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: self
      transport_socket:
        name: tls
        typed_config:
          "@type": ${tlsTypes}.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs:
            - name: own
              sds_config: { path_config_source: { path: ${dir}/sds.yaml } }
  clusters:
  - name: self
    type: STATIC
    load_assignment:
      cluster_name: self
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }]
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
`;

const sds = (dir: string): string => `
resources:
- "@type": ${tlsTypes}.Secret
  name: own
  tls_certificate:
    certificate_chain: { filename: ${dir}/tls.crt }
    private_key: { filename: ${dir}/tls.key }
`;

const filesOf = (leaf: ReturnType<TestCa['leaf']>) => ({ 'tls.crt': leaf.chainPem, 'tls.key': leaf.keyPem });

function shown(port: number): Promise<{ readonly socket: tls.TLSSocket; readonly name: string }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('secureConnect', () => resolve({ socket, name: socket.getPeerCertificate().subjectaltname ?? '' }));
    socket.once('error', reject);
  });
}

test('a certificate in files is reloaded when they change, a broken one is not, and nobody is cut off', async (t) => {
  const port = await freePort();
  const dir = folderWith(t, filesOf(ca.leaf('DNS:first.example')));
  put(dir, { 'sds.yaml': sds(dir) });
  const agent = new AgentProcess(config(port, dir));
  t.teardown(() => agent.stop('SIGKILL'));
  await agent.started();
  const before = await shown(port);
  before.socket.on('error', () => {});
  t.is(before.name, 'DNS:first.example');
  fs.writeFileSync(path.join(dir, 'tls.crt'), 'broken');
  await agent.says('a secret could not be reloaded');
  const still = await shown(port);
  t.is(still.name, 'DNS:first.example');
  still.socket.destroy();
  put(dir, filesOf(ca.leaf('DNS:second.example')));
  await agent.says('a secret was reloaded');
  let after = await shown(port);
  while (after.name === 'DNS:first.example') {
    after.socket.destroy(); // the workers have not taken the update yet
    after = await shown(port);
  }
  t.is(after.name, 'DNS:second.example');
  t.false(before.socket.destroyed);
  before.socket.destroy();
  after.socket.destroy();
});
