import { ManualClock, silentLogger, systemClock } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import type { KubeObject } from '../object.ts';
import { ApiClient } from './api-client.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';

const podPath = (name: string): string => `/api/v1/namespaces/shop/pods/${name}`;
const pod = (name: string, image = 'a'): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, managedFields: [{ manager: 'x' }] },
  spec: { image },
});

interface Projected {
  readonly kind: string;
  readonly name: string | undefined;
  readonly image: unknown;
}

const project = ({ kind, metadata, ...rest }: KubeObject): Projected => ({
  kind,
  name: metadata.name,
  image: (rest as { spec?: { image?: unknown } }).spec?.image,
});

/** Calls back after each change until what is wanted holds. */
function waiter() {
  const waiting = new Set<() => void>();
  let changes = 0;
  return {
    onChange: () => {
      changes++;
      for (const look of [...waiting]) look();
    },
    changes: () => changes,
    until: (holds: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!holds()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

async function fixture(t: ExecutionContext, more: Partial<ReflectorOptions<Projected>> = {}) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const { onChange, until, changes } = waiter();
  const reflector = new Reflector<Projected>({
    ...{ client, path: '/api/v1/pods', project, onChange },
    ...{ clock: systemClock, random: () => 0, log: silentLogger },
    ...more,
  });
  t.teardown(async () => {
    reflector.stop();
    client.close();
    await api.close();
  });
  const images = (): string =>
    reflector
      .values()
      .map((v) => `${v.name}=${String(v.image)}`)
      .sort()
      .join(' ');
  return { api, client, reflector, until, changes, images };
}

/** Until the fake has an open watch: what is changed then comes as an event. */
async function watched(api: FakeApiServer): Promise<void> {
  while (api.watching('pods') === 0) await new Promise((done) => setImmediate(done));
}

test('lists, follows additions, changes and deletions, and names the kind of listed items', async (t) => {
  const { api, reflector, until, images } = await fixture(t);
  api.put(podPath('a'), pod('a'));
  reflector.start();
  await until(() => images() === 'a=a');
  t.is(reflector.values()[0]?.kind, 'Pod');
  await watched(api);
  api.put(podPath('b'), pod('b'));
  await until(() => images() === 'a=a b=a');
  api.objects.replace(place('a'), { ...pod('a', 'z') } as KubeObject);
  await until(() => images() === 'a=z b=a');
  api.objects.remove(place('b'));
  await until(() => images() === 'a=z');
  t.is(reflector.figures.lists, 1);
});

const place = (name: string) => ({
  ...{ base: '/api/v1', resource: 'pods', namespace: 'shop', name, subresource: undefined },
});

test('a list longer than a page is read whole', async (t) => {
  const { api, reflector, until } = await fixture(t);
  for (let i = 0; i < 1203; i++) api.put(podPath(`p${i}`), pod(`p${i}`));
  reflector.start();
  await until(() => reflector.values().length === 1203);
  t.is(api.requests.filter((r) => r === 'GET /api/v1/pods').length, 3);
});

test('a change of what is not kept is no change, and keeps the value that others hold', async (t) => {
  const { api, reflector, until, changes, images } = await fixture(t);
  api.put(podPath('a'), pod('a'));
  reflector.start();
  await until(() => images() === 'a=a');
  await watched(api);
  const before = reflector.values()[0];
  const told = changes();
  api.objects.replace(place('a'), { ...pod('a'), status: { seen: 1 } } as unknown as KubeObject);
  api.put(podPath('b'), pod('b')); // comes after it on the same stream
  await until(() => images() === 'a=a b=a');
  t.is(changes(), told + 1);
  t.is(reflector.get('shop/a'), before);
});

test('a stream that is cut goes on where it stopped, without a new list', async (t) => {
  const { api, reflector, until, images } = await fixture(t);
  api.put(podPath('a'), pod('a'));
  reflector.start();
  await until(() => images() === 'a=a');
  await watched(api);
  api.put(podPath('b'), pod('b'));
  await until(() => images() === 'a=a b=a');
  api.cut();
  api.put(podPath('c'), pod('c'));
  await until(() => images() === 'a=a b=a c=a');
  t.is(reflector.figures.lists, 1);
});

for (const [how, expire] of [
  ['an ERROR event', (api: FakeApiServer) => api.expire()],
  [
    'the status of the answer',
    (api: FakeApiServer) => {
      api.fail(/watch=true/, 410);
      api.cut();
    },
  ],
] as const) {
  test(`410 Gone by ${how}: lists again and tells the difference only`, async (t) => {
    const { api, reflector, until, images } = await fixture(t);
    api.put(podPath('a'), pod('a'));
    api.put(podPath('b'), pod('b'));
    reflector.start();
    await until(() => images() === 'a=a b=a');
    await watched(api);
    const a = reflector.get('shop/a');
    expire(api);
    api.objects.remove(place('b'));
    api.put(podPath('c'), pod('c'));
    await until(() => images() === 'a=a c=a');
    t.is(reflector.get('shop/a'), a, 'what did not change is the same value');
  });
}

test('a server that is away loses nothing, and what changed meanwhile is there when it is back', async (t) => {
  const { api, reflector, until, images } = await fixture(t);
  api.put(podPath('a'), pod('a'));
  api.put(podPath('b'), pod('b'));
  reflector.start();
  await until(() => images() === 'a=a b=a');
  await watched(api);
  await api.down();
  api.objects.remove(place('b'));
  api.objects.compact();
  t.is(images(), 'a=a b=a');
  await api.up();
  await until(() => images() === 'a=a');
  t.pass();
});

test('429 and 500 are waited out; Retry-After is obeyed', async (t) => {
  const clock = new ManualClock(1_000_000);
  const { api, reflector, until, images } = await fixture(t, { clock });
  api.put(podPath('a'), pod('a'));
  api.fail(/GET \/api\/v1\/pods/, 500);
  api.fail(/GET \/api\/v1\/pods/, 429, 1, 7);
  const asked = (n: number) => async () => {
    while (api.requests.length < n || clock.pending === 0) await new Promise((done) => setImmediate(done));
  };
  reflector.start();
  await asked(1)();
  clock.advance(200);
  await asked(2)();
  clock.advance(6900);
  t.is(api.requests.length, 2);
  clock.advance(200);
  await until(() => images() === 'a=a');
  t.is(reflector.figures.failures, 2);
});

test('a kind that is not installed is empty, and found when it is', async (t) => {
  const clock = new ManualClock(1_000_000);
  const { api, reflector, until, images } = await fixture(t, { clock });
  api.absent.add('pods');
  reflector.start();
  await until(() => reflector.synced);
  t.is(reflector.values().length, 0);
  api.absent.clear();
  api.put(podPath('a'), pod('a'));
  while (clock.pending === 0) await new Promise((done) => setImmediate(done));
  clock.advance(30_000);
  await until(() => images() === 'a=a');
  t.pass();
});

test('a kind that a starting server does not know yet keeps its objects', async (t) => {
  const clock = new ManualClock(1_000_000);
  const { api, reflector, until, images } = await fixture(t, { clock });
  api.put(podPath('a'), pod('a'));
  reflector.start();
  await until(() => images() === 'a=a');
  await watched(api);
  const asked = (): number => api.requests.filter((r) => r === 'GET /api/v1/pods').length;
  api.absent.add('pods');
  api.cut();
  const passes = async (ms: number): Promise<void> => {
    while (clock.pending === 0) await new Promise((done) => setImmediate(done));
    const before = asked();
    clock.advance(ms);
    while (asked() === before) await new Promise((done) => setImmediate(done));
  };
  await passes(250); // the cut stream is opened again: 404
  await passes(40_000); // the list: 404
  t.is(images(), 'a=a');
  await passes(40_000);
  await until(() => images() === '');
  t.pass();
});

test('stopped, it asks no more', async (t) => {
  const { api, reflector, until, images } = await fixture(t);
  api.put(podPath('a'), pod('a'));
  reflector.start();
  await until(() => images() === 'a=a');
  await watched(api);
  reflector.stop();
  while (api.watching('pods') > 0) await new Promise((done) => setImmediate(done));
  api.put(podPath('b'), pod('b'));
  t.is(images(), 'a=a');
});
