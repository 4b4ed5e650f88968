/** early_header_mutation_extensions of the HTTP connection manager: edits of a request before anything looks at it. */
import type { HeaderMutation as Mutation } from '@chainmail/xds/proto/envoy/config/common/mutation_rules/v3/mutation_rules';
import type { HttpConnectionManager } from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { HeaderMutation } from '@chainmail/xds/proto/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation';
import type { EarlyMutationSpec } from '../model/http.ts';
import { checkOperators, readHeaderAdd } from './header-mutations.ts';
import { extension, type MessageReader } from './message-reader.ts';

/** Of one connection, or deciding where the message ends: the codec has settled them before. */
const settled: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

export function readEarlyMutations(r: MessageReader<HttpConnectionManager>): readonly EarlyMutationSpec[] {
  const perExtension = r.each('earlyHeaderMutationExtensions', (e) => {
    const config = e.take('typedConfig');
    if (config === undefined) throw e.invalid('typedConfig', 'is required');
    return e.extension('typedConfig', config, [
      extension<HeaderMutation, readonly EarlyMutationSpec[]>(
        'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
        (h) => h.each('mutations', readMutation),
      ),
    ]);
  });
  return perExtension.flat();
}

function readMutation(r: MessageReader<Mutation>): EarlyMutationSpec {
  const action = r.take('action');
  switch (action.case) {
    case 'remove': {
      const name = action.value.toLowerCase();
      if (name.startsWith(':') || name === 'host') throw r.invalid('remove', `${action.value} may not be removed`);
      return { kind: 'remove', name: changeable(r, 'remove', name) };
    }
    case 'append': {
      const add = r.within('append', action.value, readHeaderAdd);
      checkOperators(r, [add]);
      changeable(r, 'append', add.name);
      return { kind: 'add', add };
    }
    case undefined:
      throw r.invalid('action', 'one of remove, append is required');
  }
}

function changeable(r: MessageReader<Mutation>, field: string, name: string): string {
  if (settled.has(name)) throw r.unsupported(field, `${name} cannot be changed: the codec has settled it`);
  return name;
}
