import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { parseEnvoyJson } from '@chainmail/xds';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import { ListenerSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import { registry } from '@chainmail/xds/registry';
import test from 'ava';
import { ignoredFields } from './ignored-fields.ts';
import { listenerResource } from './resources.ts';
import { environment, listenerWith, tcpProxy } from './testing/compile.ts';

test('every ignored field exists, and has a reason', (t) => {
  for (const [typeName, fields] of Object.entries(ignoredFields)) {
    const desc = registry.getMessage(typeName);
    t.truthy(desc, typeName);
    for (const [name, reason] of Object.entries(fields)) {
      t.truthy(
        desc?.fields.some((f) => f.name === name),
        `${typeName}.${name}`,
      );
      t.true(reason.length > 5, `${typeName}.${name}`);
    }
  }
});

test('a field that only a newer proto knows is refused, not dropped', (t) => {
  const bytes = toBinary(ListenerSchema, parseEnvoyJson(ListenerSchema, listenerWith([tcpProxy()])));
  // Field 4095, varint 1.
  const newer = Buffer.concat([bytes, Buffer.from([0xf8, 0xff, 0x01, 0x01])]);
  const message: Listener = fromBinary(ListenerSchema, newer);
  t.throws(() => listenerResource(message, '', environment()), {
    code: 'CONFIG_UNSUPPORTED',
    message: 'field number 4095 of envoy.config.listener.v3.Listener is not known to this agent',
  });
});
