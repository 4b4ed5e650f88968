/** Steady load of GET and POST in turn, each with a key of its own, so that repetitions can be counted at the servers. */
import http from 'node:http';
import type { LoadCall, LoadReport } from './driver-api.ts';

interface Running {
  readonly timer: NodeJS.Timeout;
  readonly pending: Set<Promise<void>>;
  readonly agent: http.Agent;
  readonly failures: string[];
  readonly answeredBy: Record<string, number>;
  sent: number;
}

let running: Running | undefined;

function once(load: Running, call: LoadCall): Promise<void> {
  const n = load.sent++;
  const method = n % 2 === 0 ? 'GET' : 'POST';
  const url = `${call.url}?key=${method}-${call.keys}-${n}`;
  const failed = (why: string): void => void load.failures.push(`${new Date().toISOString()} ${method} ${n}: ${why}`);
  return new Promise((done) => {
    const request = http.request(
      url,
      { method, agent: load.agent, signal: AbortSignal.timeout(15_000) },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (c: string) => {
          body += c;
        });
        response.on('error', (e) => failed(`response: ${e.message}`));
        response.on('close', () => {
          if (response.statusCode !== 200) failed(`status ${response.statusCode}: ${body.slice(0, 200)}`);
          else {
            const { pod } = JSON.parse(body) as { pod: string };
            load.answeredBy[pod] = (load.answeredBy[pod] ?? 0) + 1;
          }
          done();
        });
      },
    );
    request.on('error', (e) => {
      failed(`request: ${e.message}`);
      done();
    });
    request.end(method === 'POST' ? `order ${n}` : undefined);
  });
}

export async function startLoad(call: LoadCall): Promise<object> {
  if (running !== undefined) throw new Error('there is load already');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const pending = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const one = once(load, call).finally(() => pending.delete(one));
    pending.add(one);
  }, 1000 / call.rate);
  const load: Running = { timer, pending, agent, failures: [], answeredBy: {}, sent: 0 };
  running = load;
  return {};
}

export async function stopLoad(): Promise<LoadReport> {
  const load = running;
  if (load === undefined) throw new Error('there is no load');
  running = undefined;
  clearInterval(load.timer);
  await Promise.all(load.pending);
  load.agent.destroy();
  return { sent: load.sent, failures: load.failures, answeredBy: load.answeredBy };
}
