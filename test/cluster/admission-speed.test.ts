/** Reviews at an even pace, straight to the injector's Service, as the API server sends them. */
import https from 'node:https';
import { reviewPaths, system } from '@chainmail/runtime';
import test from 'ava';
import { connect, kinds } from './cluster.ts';
import { installed } from './mesh.ts';
import { app, pod, ready } from './workloads.ts';

const cluster = connect();
test.before(() => installed(cluster));

const perSecond = 100;
const seconds = 10;
const allowedP99Ms = 10;

interface Ask {
  readonly agent: https.Agent;
  readonly host: string;
}

/** Milliseconds until the whole answer. */
function ask({ agent, host }: Ask, path: string, body: string, isRight: (text: string) => boolean): Promise<number> {
  const begun = performance.now();
  const servername = `${system.injectorServiceAccount}.${system.namespace}.svc`;
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const method = body === '' ? 'GET' : 'POST';
  const options = { host, port: 443, path, method, agent, servername, headers };
  return new Promise((resolve, reject) => {
    const request = https.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => (isRight(text) ? resolve(performance.now() - begun) : reject(new Error(text))));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const isInjected = (text: string): boolean => {
  const { response } = JSON.parse(text);
  return response.allowed === true && response.patch !== undefined;
};
const review = (to: Ask, uid: string) => ask(to, reviewPaths.pod, reviewOf(uid), isInjected);
/** The same way there and back, and no review: what the machine adds. */
const nothing = (to: Ask) => ask(to, '/nothing', '', () => true);

const object = {
  ...pod('a', { container: { ...app, ...ready } }),
  metadata: { name: 'a', labels: { 'chainmail.dev/inject': 'enabled' } },
};
const reviewOf = (uid: string): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      name: 'a',
      namespace: 'default',
      operation: 'CREATE',
      userInfo: { username: 'test' },
      object,
    },
  });

async function injector(): Promise<Ask> {
  const hook = await cluster.api.get(kinds.MutatingWebhookConfiguration, undefined, 'chainmail-injector');
  const service = await cluster.api.get(kinds.Service, system.namespace, system.injectorServiceAccount);
  const ca = Buffer.from(hook['webhooks'][0].clientConfig.caBundle, 'base64');
  return { agent: new https.Agent({ keepAlive: true, maxSockets: 8, ca }), host: service['spec'].clusterIP };
}

const p99 = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;

test(`${perSecond} admissions a second: the 99th percentile stays below ${allowedP99Ms} ms`, async (t) => {
  const to = await injector();
  t.teardown(() => to.agent.destroy());
  for (let i = 0; i < 200; i++) await review(to, `warm${i}`);
  const reviews: Promise<number>[] = [];
  const nothings: Promise<number>[] = [];
  const begun = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(perSecond * seconds, ((performance.now() - begun) / 1000) * perSecond);
      for (; reviews.length < due; nothings.push(nothing(to))) reviews.push(review(to, `u${reviews.length}`));
      if (due < perSecond * seconds) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  const took = p99(await Promise.all(reviews));
  const machine = p99(await Promise.all(nothings));
  t.log(`p99 ${took.toFixed(1)} ms; of requests that review nothing ${machine.toFixed(1)} ms`);
  // Whatever else runs on the machine holds both up, and a review is two turns where nothing is one.
  t.true(took < allowedP99Ms + 2 * machine, `p99 is ${took.toFixed(1)} ms, of nothing ${machine.toFixed(1)} ms`);
});
