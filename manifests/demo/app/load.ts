/**
 * Customers: RATE requests a second to TARGET at even distances, whatever the answers take. The control port gives
 * the totals since the start and every failure with its time and reason.
 */
import http from 'node:http';
import { serve } from './service.ts';

const target = new URL(process.env['TARGET'] ?? 'http://web:8080/');
const rate = Number(process.env['RATE'] ?? 50);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const totals = { sent: 0, succeeded: 0, failed: 0 };
const failures: { readonly at: number; readonly reason: string }[] = [];

function failed(reason: string): void {
  totals.failed++;
  failures.push({ at: Date.now(), reason });
  if (failures.length > 1000) failures.shift();
}

function once(): void {
  totals.sent++;
  const request = http.get(target, { agent, timeout: 10_000 }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (c: Buffer) => chunks.push(c));
    response.on('error', (e) => failed(`response: ${e.message}`));
    response.on('end', () => {
      if (response.statusCode === 200) totals.succeeded++;
      else failed(`status ${response.statusCode}: ${Buffer.concat(chunks).toString().slice(0, 200).trim()}`);
    });
  });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  request.on('error', (e) => failed(`request: ${e.message}`));
}

const begun = performance.now();
let due = 0;
setInterval(() => {
  const wanted = ((performance.now() - begun) / 1000) * rate;
  // After a pause of the machine the backlog is dropped: a burst would measure the pause, not the mesh.
  if (wanted - due > rate) due = wanted - 1;
  for (; due < wanted; due++) once();
}, 10);

serve(() => ({ status: 200, body: totals }), { '/totals': () => ({ ...totals, now: Date.now(), failures }) });
