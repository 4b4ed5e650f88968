/** One HTTP call, or several in a row, with everything that came back. */
import { createHash } from 'node:crypto';
import http from 'node:http';
import type { HttpAnswer, HttpCall } from './driver-api.ts';
import { fill } from './pattern.ts';

const sessions = new Map<string, http.Agent>();
const keptBody = 65_536;
const timeoutMs = 20_000;

function agentOf(session: string | undefined): http.Agent | false {
  if (session === undefined) return false;
  const agent = sessions.get(session) ?? new http.Agent({ keepAlive: true, maxSockets: 1 });
  sessions.set(session, agent);
  return agent;
}

async function sendBody(request: http.ClientRequest, bytes: number): Promise<void> {
  for (let at = 0; at < bytes && !request.destroyed; ) {
    const chunk = fill(at, Math.min(65_536, bytes - at));
    at += chunk.length;
    if (request.write(chunk)) continue;
    await new Promise((go) => {
      request.once('drain', go);
      request.once('close', go);
    });
  }
}

function readAnswer(request: http.ClientRequest, response: http.IncomingMessage, done: (a: HttpAnswer) => void): void {
  const hash = createHash('sha256');
  let [bytes, body, error] = [0, '', ''];
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
    if (body.length < keptBody) body += chunk.toString('latin1').slice(0, keptBody - body.length);
  });
  response.on('error', (e) => {
    error = `response: ${e.message}`;
  });
  response.on('close', () =>
    done({
      status: response.statusCode ?? 0,
      headers: response.headers,
      trailers: response.trailers,
      bytes,
      sha256: hash.digest('hex'),
      body,
      error: error || (response.complete ? '' : 'response: cut short'),
      reused: request.reusedSocket,
    }),
  );
}

const nothing = { status: 0, headers: {}, trailers: {}, bytes: 0, sha256: '', body: '' };

function httpCall(call: HttpCall): Promise<HttpAnswer> {
  const { bodyBytes = 0, trailers } = call;
  const length = trailers === undefined && bodyBytes > 0 ? { 'content-length': String(bodyBytes) } : {};
  const chunked =
    trailers === undefined ? {} : { 'transfer-encoding': 'chunked', trailer: Object.keys(trailers).join() };
  return new Promise((done) => {
    const request = http.request(call.url, {
      method: call.method ?? 'GET',
      headers: { ...length, ...chunked, ...call.headers },
      agent: agentOf(call.session),
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.on('response', (response) => readAnswer(request, response, done));
    request.on('error', (e) => done({ ...nothing, error: `request: ${e.message}`, reused: request.reusedSocket }));
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      done({ ...nothing, status: response.statusCode ?? 0, error: 'upgraded', reused: false });
    });
    void sendBody(request, bodyBytes).then(() => {
      if (trailers !== undefined) request.addTrailers(trailers);
      request.end();
    });
  });
}

export async function httpCalls(call: HttpCall): Promise<readonly HttpAnswer[]> {
  const answers: HttpAnswer[] = [];
  for (let i = 0; i < (call.times ?? 1); i++) {
    if (i > 0 && call.gapMs !== undefined) await new Promise((go) => setTimeout(go, call.gapMs));
    answers.push(await httpCall(call));
  }
  return answers;
}
