/**
 * `chainmail-agent wait`: until the agent of this pod is ready. It is the postStart hook of the agent's container where
 * Kubernetes knows no native sidecars: the kubelet starts the application only when it has ended.
 */
import http from 'node:http';
import { ports } from '@chainmail/runtime';

const everyMs = 200;
const attemptMs = 2000;
/** As long as the startup probe of a native sidecar would wait. */
const deadlineMs = 600_000;

function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/ready', timeout: attemptMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** @returns the exit code: 0 when it is ready, 1 when the time is over */
export async function waitUntilReady(port: number = ports.agentHealth, limitMs: number = deadlineMs): Promise<number> {
  const endMs = performance.now() + limitMs;
  while (performance.now() < endMs) {
    if (await isReady(port)) return 0;
    await new Promise((done) => setTimeout(done, Math.min(everyMs, Math.max(0, endMs - performance.now()))));
  }
  process.stderr.write(`the agent is not ready after ${limitMs / 1000} s\n`);
  return 1;
}
