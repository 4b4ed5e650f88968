/** CONNECT: passed on, ended here, refused; and upgrades that a route switches on or off. */
import { type Case, caseHeader, deadCluster, type Group, type JsonObject, plain, upstreamOf } from '../case.ts';

const connect = (more = '', target = 'a.example:443', host = target): string =>
  `CONNECT ${target} HTTP/1.1\nHost: ${host}\n${more}@\n`;
const inner = 'GET /inner HTTP/1.1\nHost: inner\n@\n';
const established = 'HTTP/1.1 200 OK\nx-from: upstream\n\n';
const notFound = 'HTTP/1.1 404 Not Found\ncontent-length: 2\n\nno';
const busy = 'HTTP/1.1 503 No\ncontent-length: 4\n\nbusy';

const route = (group: string, config: JsonObject = {}, action: JsonObject = {}): JsonObject => ({
  match: { connect_matcher: {} },
  route: { cluster: upstreamOf(group), ...config, ...action },
});
const elsewhere = (group: string): JsonObject => ({ match: { prefix: '/' }, route: { cluster: upstreamOf(group) } });
const ends: JsonObject = { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] };
const enabled: JsonObject = { upgrade_configs: [{ upgrade_type: 'CONNECT' }] };

const ending = (config: JsonObject): JsonObject => ({
  upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: config }],
});

/** A POST whose body is a request that only the host behind the tunnel reads. */
function post(group: string, name: string, framing: 'length' | 'chunked' | 'http10', test: Partial<Case> = {}): Case {
  const size = inner.replaceAll('\n', '\r\n').length - 1 + `${caseHeader}: ${group}/${name}\r\n`.length;
  const head = `POST /x HTTP/1.${framing === 'http10' ? 0 : 1}\nHost: a.example\n`;
  const body =
    framing === 'chunked'
      ? `Transfer-Encoding: chunked\n\n${size.toString(16)}\n${inner}\n0\n\n`
      : `Content-Length: ${size}\n\n${inner}`;
  return { name, send: head + body, answers: [{ ending: 'fin', first: plain }], ...test };
}

const targets: readonly Case[] = [
  { name: 'no port', send: connect('', 'a.example') },
  { name: 'a path', send: connect('', '/x', 'a.example:443') },
  { name: 'with a length', send: `${connect('Content-Length: 5\n')}hello` },
  { name: 'chunked', send: `${connect('Transfer-Encoding: chunked\n')}0\n\n` },
  { name: 'host of another', send: connect('', 'a.example:443', 'b.example:443') },
];

const upgrade = (to: string, path = '/x'): string =>
  `GET ${path} HTTP/1.1\nHost: a.example\nConnection: Upgrade\nUpgrade: ${to}\n@\n`;
const websocket = (path: string): string => upgrade('websocket', path);
const switching = 'HTTP/1.1 101 Switching Protocols\nconnection: upgrade\nupgrade: websocket\n\n';

export const tunnelGroups: readonly Group[] = [
  {
    name: 'connectpassed',
    manager: enabled,
    routes: [route('connectpassed'), elsewhere('connectpassed')],
    cases: [
      { name: 'established', send: connect(), answers: [established] },
      { name: 'established with headers', send: connect('X-A: 1\nProxy-Connection: x\n'), answers: [established] },
      { name: 'refused by the upstream', send: connect(), answers: [busy] },
      { name: 'a length in the answer', send: connect(), answers: ['HTTP/1.1 200 OK\ncontent-length: 0\n\n'] },
      { name: 'the upstream goes', send: connect(), answers: [{ ending: 'fin' }] },
      { name: 'a plain request', send: `GET /x HTTP/1.1\nHost: a\n@\n` },
      ...targets,
    ],
  },
  {
    name: 'connectends',
    manager: enabled,
    routes: [route('connectends', ends)],
    cases: [
      { name: 'bytes come through', send: `${connect()}${inner}`, responses: 2 },
      {
        name: 'an answer that ends',
        send: `${connect()}${inner}`,
        answers: [{ ending: 'fin', first: 'bye' }],
        responses: 2,
      },
    ],
  },
  {
    name: 'connectproxied',
    manager: enabled,
    routes: [route('connectproxied', ending({ proxy_protocol_config: { version: 'V1' } }))],
    cases: [{ name: 'a PROXY header first', send: `${connect()}${inner}`, responses: 2 }],
  },
  {
    name: 'connectpost',
    manager: enabled,
    routes: [
      { match: { prefix: '/no' }, route: { cluster: upstreamOf('connectpost'), ...ends } },
      { match: { prefix: '/' }, route: { cluster: upstreamOf('connectpost'), ...ending({ allow_post: true }) } },
    ],
    cases: [
      post('connectpost', 'with a length', 'length'),
      post('connectpost', 'chunked', 'chunked'),
      { name: 'a GET is passed on', send: 'GET /x HTTP/1.1\nHost: a.example\n@\n' },
      { name: 'not here', send: 'POST /no HTTP/1.1\nHost: a.example\nContent-Length: 2\n@\nhi' },
    ],
  },
  {
    name: 'connectpostdead',
    routes: [{ match: { prefix: '/' }, route: { cluster: deadCluster, ...ending({ allow_post: true }) } }],
    cases: [{ name: 'nobody there', send: 'POST /x HTTP/1.1\nHost: a.example\nContent-Length: 2\n@\nhi' }],
  },
  {
    name: 'connectdead',
    manager: enabled,
    routes: [{ match: { connect_matcher: {} }, route: { cluster: deadCluster, ...ends } }],
    cases: [{ name: 'nobody there', send: connect() }],
  },
  {
    name: 'connectrewritten',
    manager: enabled,
    routes: [route('connectrewritten', {}, { host_rewrite_literal: 'other.example:8443', timeout: '0s' })],
    cases: [{ name: 'host', send: connect(), answers: [established] }],
  },
  {
    name: 'connectbyroute',
    virtualHosts: [
      { name: 'on', domains: ['on.example:443'], routes: [route('connectbyroute', enabled)] },
      { name: 'none', domains: ['none.example:443'], routes: [route('connectbyroute')] },
      {
        name: 'off',
        domains: ['*'],
        routes: [route('connectbyroute', { upgrade_configs: [{ upgrade_type: 'CONNECT', enabled: false }] })],
      },
    ],
    cases: [
      { name: 'on', send: connect('', 'on.example:443'), answers: [established] },
      { name: 'none', send: connect('', 'none.example:443') },
      { name: 'off', send: connect('', 'off.example:443') },
    ],
  },
  {
    name: 'connectunmatched',
    manager: enabled,
    routes: [
      { match: { prefix: '' }, route: { cluster: upstreamOf('connectunmatched') } },
      { match: { safe_regex: { regex: '.*' } }, route: { cluster: upstreamOf('connectunmatched') } },
    ],
    cases: [{ name: 'no path matches', send: connect() }],
  },
  {
    name: 'connectanswered',
    manager: enabled,
    routes: [{ match: { connect_matcher: {} }, direct_response: { status: 405, body: { inline_string: 'no' } } }],
    cases: [{ name: 'directly', send: connect() }],
  },
  {
    name: 'upgradebyroute',
    routes: [
      {
        match: { prefix: '/on' },
        route: { cluster: upstreamOf('upgradebyroute'), upgrade_configs: [{ upgrade_type: 'websocket' }] },
      },
      elsewhere('upgradebyroute'),
    ],
    cases: [
      { name: 'on', send: websocket('/on'), answers: [switching] },
      { name: 'off', send: websocket('/off') },
    ],
  },
  {
    name: 'upgradefailed',
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
    routes: [
      { match: { prefix: '/dead' }, route: { cluster: deadCluster } },
      { match: { prefix: '/none' }, direct_response: { status: 404 } },
      elsewhere('upgradefailed'),
    ],
    cases: [
      { name: 'a 200', send: websocket('/x') },
      { name: 'a 404', send: websocket('/x'), answers: [notFound] },
      { name: 'a 503', send: websocket('/x'), answers: [busy] },
      { name: 'nobody there', send: websocket('/dead') },
      { name: 'answered directly', send: websocket('/none') },
      { name: 'a 200, bytes ahead', send: `${websocket('/x')}${inner}` },
      { name: 'a 404, bytes ahead', send: `${websocket('/x')}${inner}`, answers: [notFound] },
      { name: 'a 503, bytes ahead', send: `${websocket('/x')}${inner}`, answers: [busy] },
      { name: 'nobody there, bytes ahead', send: `${websocket('/dead')}${inner}` },
      { name: 'answered directly, bytes ahead', send: `${websocket('/none')}${inner}` },
    ],
  },
  {
    name: 'upgrades',
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
    routes: [elsewhere('upgrades')],
    cases: [
      { name: 'h2c', send: upgrade('h2c') },
      { name: 'a list', send: upgrade('websocket, x') },
      { name: 'h2c in a list', send: upgrade('h2c, websocket') },
      { name: 'two fields', send: upgrade('websocket\nUpgrade: x') },
      { name: 'h2c and another field', send: upgrade('h2c\nUpgrade: websocket') },
      { name: 'no token', send: upgrade('web socket') },
      { name: 'HTTP/1.0', send: upgrade('websocket').replace('HTTP/1.1', 'HTTP/1.0') },
    ],
  },
];
