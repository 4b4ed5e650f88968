/**
 * One attempt to get at a service without an identity: `probe.ts plain|tls HOST PORT MARK [METHOD] [PATH]`. Prints
 * what happened as JSON. The mark is in the request, so that the far application can tell whether it arrived.
 * `tls` presents a self-signed certificate that claims the identity of web.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

const [mode, host = '', port = '0', mark = '', method = 'GET', target = '/items'] = process.argv.slice(2);
const request = `${method} ${target}?${mark} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;

function forgedIdentity(): { key: Buffer; cert: Buffer } {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'forged-'));
  const [key, cert] = [path.join(dir, 'key.pem'), path.join(dir, 'cert.pem')];
  execFileSync(
    'openssl',
    // biome-ignore format: one option a line says less than the command as it is typed
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=web',
      '-addext', 'subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/web', '-keyout', key, '-out', cert],
    { stdio: 'ignore' },
  );
  const identity = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
  fs.rmSync(dir, { recursive: true });
  return identity;
}

const outcome = { mode, connected: false, handshake: false, received: '', error: '' };
const raw = net.connect({ host, port: Number(port) });
raw.setTimeout(5000, () => raw.destroy(new Error('timeout')));
raw.on('connect', () => {
  outcome.connected = true;
});
const stream =
  mode === 'tls'
    ? tls.connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['chainmail'], ...forgedIdentity() })
    : raw;
stream.on(mode === 'tls' ? 'secureConnect' : 'connect', () => {
  outcome.handshake = mode === 'tls';
  stream.write(request);
});
stream.on('data', (chunk: Buffer) => {
  outcome.received += chunk.toString('latin1');
});
stream.on('error', (e) => {
  outcome.error = e.message;
});
raw.on('error', (e) => {
  outcome.error ||= e.message;
});
raw.on('close', () => {
  console.log(JSON.stringify({ ...outcome, received: outcome.received.slice(0, 500) }));
});
