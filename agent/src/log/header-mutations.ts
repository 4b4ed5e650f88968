/**
 * Header changes from configuration, compiled to flat lists that the HTTP code runs in order. Values without operators
 * are constants; each level removes before it adds, as Envoy does.
 */
import type { LogRecord } from '../http/request-view.ts';
import type { HeaderAddSpec, HeaderMutationsSpec } from '../model/http.ts';
import { compileFormat } from './format.ts';

export type HeaderOperation =
  | { readonly kind: 'remove'; readonly name: string }
  | {
      readonly kind: HeaderAddSpec['action'];
      /** Lower case. */
      readonly name: string;
      /** The value when it is the same for every request, else null. Never '' unless the empty value is to be kept. */
      readonly constant: string | null;
      /** The value for this request; null adds nothing. */
      value(record: LogRecord): string | null;
    };

export interface HeaderProgram {
  readonly request: readonly HeaderOperation[];
  readonly response: readonly HeaderOperation[];
}

/**
 * levels in the order in which they apply: route, virtual host, route configuration.
 * @throws UserError LOG_FORMAT_INVALID, LOG_UNKNOWN_OPERATOR
 */
export function compileHeaderMutations(levels: readonly HeaderMutationsSpec[]): HeaderProgram {
  return {
    request: levels.flatMap((level) => operations(level.requestRemove, level.requestAdd)),
    response: levels.flatMap((level) => operations(level.responseRemove, level.responseAdd)),
  };
}

function operations(remove: readonly string[], add: readonly HeaderAddSpec[]): HeaderOperation[] {
  return [
    ...remove.map((name): HeaderOperation => ({ kind: 'remove', name: name.toLowerCase() })),
    ...add.flatMap(compileAdd),
  ];
}

/** An empty value is no header, unless the configuration keeps it. */
function compileAdd(spec: HeaderAddSpec): HeaderOperation[] {
  const format = compileFormat(spec.value);
  const name = spec.name.toLowerCase();
  const { action: kind, keepEmpty } = spec;
  const { constant } = format;
  if (constant === '' && !keepEmpty) return [];
  if (constant !== null) return [{ kind, name, constant, value: () => constant }];
  return [{ kind, name, constant, value: (record) => orNothing(safeValue(format.evaluate(record)), keepEmpty) }];
}

function orNothing(value: string, keepEmpty: boolean): string | null {
  return value === '' && !keepEmpty ? null : value;
}

/** What came from a peer must not end the header: line ends and NUL go. */
function safeValue(value: string): string {
  return /[\r\n\0]/.test(value) ? value.replace(/[\r\n\0]/g, '') : value;
}
