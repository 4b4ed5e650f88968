import { type DescExtension, type DescMessage, type Extendee, getExtension, hasExtension } from '@bufbuild/protobuf';
import test from 'ava';
import type { disabled, required, rules } from '../gen/validate/validate_pb.js';
import { extensionNamed, registry } from './registry.ts';
import { isDisabled, isOneRequired, rulesOf } from './validate-extensions.ts';

/** As the library reads it. */
function optionOf<E extends DescExtension>(options: Extendee<E> | undefined, name: E['typeName']): unknown {
  const extension = extensionNamed<E>(name);
  return options !== undefined && hasExtension(options, extension) ? getExtension(options, extension) : undefined;
}

test('the options of every message, oneof and field are what the library reads', (t) => {
  let found = 0;
  for (const desc of registry) {
    if (desc.kind !== 'message') continue;
    t.is(isDisabled(desc), optionOf<typeof disabled>(desc.proto.options, 'validate.disabled') === true, desc.typeName);
    for (const oneof of desc.oneofs) {
      t.is(isOneRequired(oneof), optionOf<typeof required>(oneof.proto.options, 'validate.required') === true);
    }
    for (const field of desc.fields) {
      const own = rulesOf(field);
      t.deepEqual(own, optionOf<typeof rules>(field.proto.options, 'validate.rules') as typeof own, String(field));
      if (own !== undefined) found++;
    }
  }
  t.true(found > 500, `${found} fields with rules`);
});

test('a descriptor of somebody else is refused: none of its rules would be seen', (t) => {
  const foreign = { toString: () => 'message a.B' } as unknown as DescMessage;
  t.throws(() => isDisabled(foreign), { message: 'message a.B is no descriptor of the registry' });
});
