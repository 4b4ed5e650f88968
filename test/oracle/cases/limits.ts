/** How large the head of an answer may be, over either version of HTTP. */
import { type Case, type Group, get, type JsonObject } from '../case.ts';

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const kib = 1024;

const sized = (name: string, bytes: number): Case => ({
  name,
  send: get('/'),
  answers: [`HTTP/1.1 200 OK\nx-large: ${'v'.repeat(bytes)}\ncontent-length: 0\n\n`],
});
const counted = (name: string, fields: number): Case => {
  const lines = Array.from({ length: fields - 1 }, (_, i) => `x-${i}: v\n`).join('');
  return { name, send: get('/'), answers: [`HTTP/1.1 200 OK\n${lines}content-length: 0\n\n`] };
};

const cluster = (common: JsonObject, protocol: string): JsonObject => ({
  typed_extension_protocol_options: {
    [optionsType]: {
      '@type': `type.googleapis.com/${optionsType}`,
      common_http_protocol_options: { max_requests_per_connection: 1, ...common },
      explicit_http_config: { [protocol]: {} },
    },
  },
});

function limits(name: string, common: JsonObject, cases: readonly Case[]): readonly Group[] {
  return [
    { name: `${name}h1`, cluster: cluster(common, 'http_protocol_options'), cases },
    { name: `${name}h2`, server: 'http2', cluster: cluster(common, 'http2_protocol_options'), cases },
  ];
}

export const limitGroups: readonly Group[] = [
  ...limits('headsdefault', {}, [
    sized('50 KiB', 50 * kib),
    sized('70 KiB', 70 * kib),
    sized('90 KiB', 90 * kib),
    counted('90 fields', 90),
    counted('110 fields', 110),
  ]),
  ...limits('headslarge', { max_response_headers_kb: 200, max_headers_count: 150 }, [
    sized('150 KiB', 150 * kib),
    sized('250 KiB', 250 * kib),
    counted('140 fields', 140),
    counted('160 fields', 160),
  ]),
  ...limits('headssmall', { max_response_headers_kb: 1, max_headers_count: 5 }, [
    sized('half a KiB', 512),
    sized('2 KiB', 2 * kib),
    counted('4 fields', 4),
    counted('8 fields', 8),
  ]),
];
