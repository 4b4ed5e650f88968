/**
 * The HTTP face of injection: POST /inject and /inject/pod, GET /livez, /ready, /metrics. Knows nothing of TLS.
 * Invariant: a review is answered over TLS only, and a body is bounded before it is read.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { type Logger, messageOf, reviewPaths } from '@chainmail/runtime';
import type { Counters, Outcome } from './counters.ts';
import { answerReview, type ReviewContext, type ReviewOutcome, reviewedNamespace } from './review.ts';

/** Of all bodies under way: whoever opens a thousand connections cannot fill the memory with halves of reviews. */
export const maxBytesUnderWay = 64 * 1024 * 1024;

/** An API server sends an object of at most 3 MiB, once or twice, with some text around it. */
export const maxBodyBytes = 7 * 1024 * 1024;

export interface WebhookOptions extends ReviewContext {
  readonly counters: Counters;
  readonly log: Logger;
  /** End of the serving certificate in Unix milliseconds; undefined while none is held. */
  readonly certificateExpiryMs: () => number | undefined;
  /** Why reviews cannot be answered now; undefined when they can. */
  readonly whyNotReady: () => string | undefined;
  /** Brings what is known of a namespace up to date, before a decision about one of its pods. hasNoLabel: says the API server. */
  readonly prepare?: (namespace: string, hasNoLabel: boolean) => Promise<void>;
  /** Takes every review that was answered. */
  readonly onReviewed?: (outcome: Extract<ReviewOutcome, { kind: 'answered' }>) => void;
  /** Further lines for /metrics. */
  readonly moreMetrics?: () => string;
  /** Connections are not kept: this process is about to go. */
  readonly isLeaving?: () => boolean;
  /** Seconds from any fixed point, for durations. */
  readonly nowSeconds?: () => number;
}

/** Bytes of the bodies that are being read now. */
interface UnderWay {
  bytes: number;
}

export function createWebhook(options: WebhookOptions): RequestListener {
  const underWay: UnderWay = { bytes: 0 };
  return (request, response) => {
    const [path] = (request.url ?? '').split('?');
    if (options.isLeaving?.() === true) response.setHeader('connection', 'close');
    switch (`${request.method} ${path}`) {
      case `POST ${reviewPaths.namespace}`:
      case `POST ${reviewPaths.pod}`:
        void handleInject(options, underWay, request, response);
        return;
      case 'GET /livez':
        return sendText(response, 200, 'ok\n');
      case 'GET /ready':
      case 'GET /healthz':
        return answerReady(options, response);
      case 'GET /metrics':
        return answerMetrics(options, response);
    }
    if (isReviewPath(path)) sendText(response, 405, 'POST an AdmissionReview\n', { allow: 'POST' });
    else
      sendText(
        response,
        404,
        'not found: this server has /inject, /inject/pod, /livez, /ready, /healthz and /metrics\n',
      );
  };
}

const isReviewPath = (path: string | undefined): boolean => Object.values<unknown>(reviewPaths).includes(path);

function answerReady({ whyNotReady }: WebhookOptions, response: ServerResponse): void {
  const reason = whyNotReady();
  if (reason === undefined) sendText(response, 200, 'ok\n');
  else sendText(response, 503, `${reason}\n`);
}

function answerMetrics({ counters, certificateExpiryMs, moreMetrics }: WebhookOptions, response: ServerResponse): void {
  sendText(response, 200, `${counters.render(certificateExpiryMs())}${moreMetrics?.() ?? ''}`);
}

async function handleInject(
  options: WebhookOptions,
  underWay: UnderWay,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const now = options.nowSeconds ?? (() => performance.now() / 1000);
  const start = now();
  let outcome: Outcome = 'error';
  try {
    outcome = await review(options, underWay, request, response);
  } catch (error) {
    options.log.error({ err: error }, 'review failed');
    if (!response.headersSent) sendText(response, 500, `${messageOf(error)}\n`);
  }
  options.counters.record(outcome, now() - start);
}

async function review(
  options: WebhookOptions,
  underWay: UnderWay,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Outcome> {
  const refuse = (status: number, message: string): Outcome => {
    options.log.warn({ status, reason: message }, 'review refused');
    sendText(response, status, `${message}\n`, { connection: 'close' });
    return 'malformed';
  };
  if (!(request.socket instanceof TLSSocket)) return refuse(403, 'reviews are answered over HTTPS only');
  if (!/^application\/json(?:\s*;|\s*$)/i.test(request.headers['content-type'] ?? '')) {
    return refuse(415, 'the content type must be application/json');
  }
  const body = await readBody(request, underWay);
  if (body === 'too-long') return refuse(413, `the body must be at most ${maxBodyBytes} bytes`);
  if (body === 'busy') return refuse(503, 'too many reviews at once; try again');
  const [path] = (request.url ?? '').split('?');
  const answer = await answerText(body.text, path === reviewPaths.pod, options);
  if (answer.kind === 'malformed') return refuse(400, answer.message);
  const { subject, decision, report } = answer;
  options.log.info({ pod: subject, ...decision, notes: report.notes, warnings: report.warnings }, 'review');
  sendJson(response, answer.body);
  options.onReviewed?.(answer);
  return decision.kind;
}

async function answerText(body: string, hasNoLabel: boolean, options: WebhookOptions): Promise<ReviewOutcome> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { kind: 'malformed', message: 'the body is not JSON' };
  }
  const namespace = reviewedNamespace(value);
  if (namespace !== undefined) await options.prepare?.(namespace, hasNoLabel);
  return answerReview(value, options);
}

/** The rest of a body that is too long, or one too many, is not read. */
async function readBody(
  request: IncomingMessage,
  underWay: UnderWay,
): Promise<{ readonly text: string } | 'too-long' | 'busy'> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return 'too-long';
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      underWay.bytes += chunk.length;
      if (length > maxBodyBytes) return 'too-long';
      if (underWay.bytes > maxBytesUnderWay) return 'busy';
      chunks.push(chunk);
    }
    return { text: Buffer.concat(chunks).toString('utf8') };
  } finally {
    underWay.bytes -= length;
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 200, JSON.stringify(value), { 'content-type': 'application/json' });
}

function sendText(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  send(response, status, text, { 'content-type': 'text/plain; charset=utf-8', ...headers });
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string>): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
