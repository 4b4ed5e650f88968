/**
 * What a data plane does with HTTP/2: `none` carries it as an opaque stream, still under mutual TLS; `declared` speaks it
 * where a port or a caller does (a real Envoy); `mesh` also carries all HTTP between its like in it (our agent).
 */
export type Http2Use = 'none' | 'declared' | 'mesh';
