/**
 * Numbers for the header names and methods that the agent itself acts on, found by hash and then compared byte by byte,
 * so that a crafted collision is not taken for a known name. Invariant: token 0 is "some other name".
 */

const names = [
  // Framing and connection: the parser looks at their values.
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'expect',
  'te',
  // Hop-by-hop, always dropped.
  'keep-alive',
  'proxy-connection',
  'http2-settings',
  // Set or read by the connection manager.
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-client-cert',
  'x-request-id',
  'x-envoy-internal',
  'x-envoy-external-address',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-decorator-operation',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-attempt-count',
  'x-envoy-original-path',
  'x-envoy-original-host',
  'x-envoy-upstream-service-time',
  // A caller's wishes to the router, not honoured from outside.
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-is-timeout-retry',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-chainmail-upstream-failure',
  'content-type',
  'trailer',
  'date',
  'server',
  'user-agent',
  'authorization',
  'location',
  // HTTP/2: crumbs are joined; never put into a compression table.
  'cookie',
  'set-cookie',
  'proxy-authorization',
  // Read of every answer to a gRPC call.
  'grpc-status',
] as const;

export type KnownName = (typeof names)[number];

/** Token of each known name; tokens start at 1 and stay below 64, so that a set of them is two 32-bit masks. */
export const token = Object.fromEntries(names.map((name, i) => [name, i + 1])) as { readonly [N in KnownName]: number };

/** Tokens up to this one are looked at while a head is parsed. */
export const lastFramingToken: number = token.te;

const methodNames = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'CONNECT',
  'TRACE',
  'ACL',
  'BIND',
  'CHECKOUT',
  'COPY',
  'LINK',
  'LOCK',
  'MERGE',
  'MKACTIVITY',
  'MKCALENDAR',
  'MKCOL',
  'MOVE',
  'MSEARCH',
  'NOTIFY',
  'PROPFIND',
  'PROPPATCH',
  'PURGE',
  'REBIND',
  'REPORT',
  'SEARCH',
  'SOURCE',
  'SUBSCRIBE',
  'UNBIND',
  'UNLINK',
  'UNLOCK',
  'UNSUBSCRIBE',
] as const;

export type Method = (typeof methodNames)[number];

/** Number of each method; 0 is no method. The list is the one Envoy's parser accepts. */
export const method = Object.fromEntries(methodNames.map((name, i) => [name, i + 1])) as {
  readonly [M in Method]: number;
};

/** The method's text by its number. */
export const methodText: readonly string[] = ['', ...methodNames];

/** The hash step; a parser folds it over the bytes as it goes. */
export function hashStep(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

const tableMask = 511;

class ByteNames {
  readonly #slots = new Uint8Array(tableMask + 1);
  readonly #bytes: readonly Uint8Array[];

  constructor(texts: readonly string[]) {
    const encoder = new TextEncoder();
    this.#bytes = [new Uint8Array(0), ...texts.map((t) => encoder.encode(t))];
    this.#bytes.forEach((bytes, i) => {
      if (i > 0) this.#slots[this.#free(bytes)] = i;
    });
  }

  #free(bytes: Uint8Array): number {
    let at = slotOf(bytes.reduce(hashStep, 0), bytes.length);
    while (this.#slots[at] !== 0) at = (at + 1) & tableMask;
    return at;
  }

  find(hash: number, buffer: Uint8Array, start: number, end: number): number {
    const length = end - start;
    for (let at = slotOf(hash, length); ; at = (at + 1) & tableMask) {
      const index = this.#slots[at] as number;
      if (index === 0) return 0;
      const bytes = this.#bytes[index] as Uint8Array;
      if (bytes.length !== length) continue;
      let i = 0;
      while (i < length && bytes[i] === buffer[start + i]) i++;
      if (i === length) return index;
    }
  }
}

function slotOf(hash: number, length: number): number {
  return (hash ^ (hash >>> 9) ^ (hash >>> 18) ^ length) & tableMask;
}

const headerTable = new ByteNames(names);
const methodTable = new ByteNames(methodNames);

/** Token of the lower-case name in [start, end) whose hash is given, or 0. */
export function findHeader(hash: number, buffer: Uint8Array, start: number, end: number): number {
  return headerTable.find(hash, buffer, start, end);
}

/** Number of the method in [start, end) whose hash is given, or 0. */
export function findMethod(hash: number, buffer: Uint8Array, start: number, end: number): number {
  return methodTable.find(hash, buffer, start, end);
}

const tokenByName: ReadonlyMap<string, number> = new Map(Object.entries(token));

/** A lower-case header name with its token, looked up once when configuration arrives. */
export interface HeaderName {
  readonly text: string;
  readonly token: number;
}

export function headerName(text: string): HeaderName {
  return { text, token: tokenOf(text) };
}

/** Token of a lower-case name given as text, or 0. */
export function tokenOf(name: string): number {
  return tokenByName.get(name) ?? 0;
}
