import { parseEnvoyJson } from '@chainmail/xds';
import { BootstrapSchema } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import test from 'ava';
import { messageJson } from './dump-parts.ts';

const tls = (material: object): object => ({
  static_resources: {
    clusters: [
      {
        name: 'a',
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
            common_tls_context: { tls_certificates: [material] },
          },
        },
      },
    ],
  },
});

function dumped(material: object): string {
  return JSON.stringify(messageJson(parseEnvoyJson(BootstrapSchema, tls(material))));
}

test('a private key is redacted, deep inside an Any, as text and as bytes; the certificate stays', (t) => {
  const text = dumped({ certificate_chain: { inline_string: 'CHAIN' }, private_key: { inline_string: 'SECRET' } });
  t.true(text.includes('"private_key":{"inline_string":"[redacted]"}'));
  t.true(text.includes('CHAIN'));
  t.false(text.includes('SECRET'));
  const bytes = dumped({
    private_key: { inline_bytes: Buffer.from('SECRET').toString('base64') },
    password: { inline_string: 'pw' },
  });
  t.false(bytes.includes(Buffer.from('SECRET').toString('base64')));
  t.true(bytes.includes(Buffer.from('[redacted]').toString('base64')));
  t.false(bytes.includes('"pw"'));
});
