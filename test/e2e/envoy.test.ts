/**
 * The agent and the real Envoy at the two ends of a mutual-TLS hop, each from the very same kind of file: either can be
 * the caller's proxy or the server's, and each refuses what the other may not be.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import test, { type ExecutionContext } from 'ava';
import { type BenchCertificates, makeCertificates } from '../bench/certificates.ts';
import { envoyConfig, type Role } from '../bench/configurations.ts';
import { findEnvoy } from '../bench/envoy.ts';
import { commandOf, endProxy, type ProxyName, startProxy } from '../oracle/proxy.ts';

const envoy = findEnvoy();
const withEnvoy = 'missing' in envoy ? test.serial.skip : test.serial;
if ('missing' in envoy) console.log(`skipped: there is no Envoy to talk to: ${envoy.missing}`);

interface Answer {
  readonly status: number;
  readonly body: string;
}

let dir: string;
let certs: BenchCertificates;
let foreign: BenchCertificates;
let seen = 0;
const app = http.createServer((request, response) => {
  seen++;
  const hash = createHash('sha256');
  request.on('data', (c: Buffer) => hash.update(c));
  request.on('end', () => response.end(hash.digest('hex')));
});

test.before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-envoy-'));
  certs = makeCertificates(dir);
  fs.mkdirSync(path.join(dir, 'foreign'));
  foreign = makeCertificates(path.join(dir, 'foreign'));
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
});

test.after.always(() => {
  app.close();
  app.closeAllConnections();
  fs.rmSync(dir, { recursive: true, force: true });
});

function send(port: number, method: string, body?: Buffer): Promise<Answer> {
  return new Promise((done, fail) => {
    const request = http.request({ port, host: '127.0.0.1', method, path: '/x', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (c: string) => {
        text += c;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, body: text }));
      response.on('error', fail);
    });
    request.on('error', fail);
    request.end(body);
  });
}

interface Ends {
  readonly egress: ProxyName;
  readonly ingress: ProxyName;
  /** What each end is given, where it is not the usual. */
  readonly egressCerts?: BenchCertificates;
  readonly ingressCerts?: BenchCertificates;
}

/** Starts the server's proxy, then the caller's, and gives the port of the caller's. */
async function chain(t: ExecutionContext, ends: Ends): Promise<number> {
  let upstream = (app.address() as AddressInfo).port;
  const hops: readonly (readonly [Role, ProxyName, BenchCertificates])[] = [
    ['ingress', ends.ingress, ends.ingressCerts ?? certs],
    ['egress', ends.egress, ends.egressCerts ?? certs],
  ];
  for (const [role, name, own] of hops) {
    const [listen = 0, admin = 0] = await freePorts(2);
    const file = path.join(dir, `${name}-${listen}.json`);
    const hop = { role, listen, upstream, certs: own, rich: false, dir };
    fs.writeFileSync(file, envoyConfig(hop, admin, null));
    const command = commandOf(name, file);
    if ('missing' in command) throw new Error(command.missing);
    const child = await startProxy(command, listen, path.join(dir, `${name}-${listen}.log`));
    t.teardown(() => endProxy(child));
    upstream = listen;
  }
  return upstream;
}

const pairs: readonly (readonly [ProxyName, ProxyName])[] = [
  ['agent', 'envoy'],
  ['envoy', 'agent'],
];

for (const [egress, ingress] of pairs) {
  withEnvoy(`${egress} to ${ingress}: requests and large bodies pass over mutual TLS`, async (t) => {
    const port = await chain(t, { egress, ingress });
    t.is((await send(port, 'GET')).status, 200);
    const body = Buffer.alloc(5 * 1024 * 1024, 'chainmail');
    const answer = await send(port, 'POST', body);
    t.is(answer.body, createHash('sha256').update(body).digest('hex'));
  });

  withEnvoy(`${egress} to ${ingress}: the caller refuses a server with another SPIFFE ID`, async (t) => {
    const egressCerts = { ...certs, server: { ...certs.server, id: `${certs.server.id}-2` } };
    const port = await chain(t, { egress, ingress, egressCerts });
    const before = seen;
    const answer = await send(port, 'GET');
    t.is(answer.status, 503);
    t.regex(answer.body, /^upstream connect error or disconnect\/reset before headers\. /);
    t.is(seen, before);
  });

  withEnvoy(`${egress} to ${ingress}: the server refuses a caller with another SPIFFE ID`, async (t) => {
    const ingressCerts = { ...certs, client: { ...certs.client, id: `${certs.client.id}-2` } };
    const port = await chain(t, { egress, ingress, ingressCerts });
    const before = seen;
    t.is((await send(port, 'GET')).status, 503);
    t.is(seen, before);
  });

  withEnvoy(`${egress} to ${ingress}: another CA is refused by either end`, async (t) => {
    const before = seen;
    const theirs = { ...certs, client: { ...foreign.client, id: certs.client.id } };
    t.is((await send(await chain(t, { egress, ingress, egressCerts: theirs }), 'GET')).status, 503);
    const ours = { ...certs, server: { ...foreign.server, id: certs.server.id } };
    t.is((await send(await chain(t, { egress, ingress, ingressCerts: ours }), 'GET')).status, 503);
    t.is(seen, before);
  });
}
