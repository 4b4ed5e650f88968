/** What every source of objects keeps; one suite for all of them. Not part of the package's entries. */
import type { KubeObject, Loaded } from '@chainmail/kube';
import test, { type ExecutionContext } from 'ava';
import { buildWorld } from '../model/build-world.ts';
import type { World } from '../model/world.ts';
import { ObjectStore } from '../store/object-store.ts';
import { shop } from '../testing/world-files.ts';
import type { Source } from './source.ts';

export interface SourceFixture {
  readonly source: Source;
  /** Makes the object, or replaces it. */
  put(object: KubeObject): Promise<void>;
  remove(object: KubeObject): Promise<void>;
  close(): Promise<void>;
}

/** Follows a source and waits for a world in which something holds. */
export class Follower {
  readonly #store = new ObjectStore();
  readonly #waiting = new Set<() => void>();
  readonly #stop: { close(): void };
  loaded: Loaded | undefined;
  world: World = buildWorld('cluster.local', []);
  told = 0;

  constructor(source: Source) {
    this.#stop = source.start((loaded) => {
      this.loaded = loaded;
      this.world = buildWorld('cluster.local', this.#store.apply(loaded).objects);
      this.told++;
      for (const look of [...this.#waiting]) look();
    });
  }

  until(holds: (world: World) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.loaded === undefined || !holds(this.world)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  close(): void {
    this.#stop.close();
  }
}

const policy = (name: string, action: string): KubeObject =>
  ({
    apiVersion: 'chainmail.dev/v1alpha1',
    kind: 'SecurityPolicy',
    metadata: { namespace: 'shop', name },
    spec: {
      targetRefs: [{ kind: 'Service', name: 'catalog' }],
      authorization: { rules: [{ name: 'r', action, principal: { serviceAccounts: ['web'] } }] },
    },
  }) as KubeObject;

/** The parts of a world that a source decides. */
const plainOf = ({ services, pods, endpoints, policies }: World) => ({
  services: [...services],
  pods: [...pods],
  endpoints: [...endpoints].map(([key, ports]) => [key, [...ports]]),
  issues: policies.issues,
});

export function sourceContract(
  name: string,
  make: (objects: readonly KubeObject[]) => Promise<SourceFixture>,
  objectsOf: (text: string) => KubeObject[],
): void {
  const check = (title: string, body: (t: ExecutionContext, f: SourceFixture, w: Follower) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => {
      const fixture = await make(objectsOf(shop));
      const follower = new Follower(fixture.source);
      t.teardown(async () => {
        follower.close();
        await fixture.close();
      });
      await body(t, fixture, follower);
    });
  };

  check('the first state is whole', async (t, _f, w) => {
    await w.until(() => true);
    t.is(w.told, 1);
    t.deepEqual(plainOf(w.world), plainOf(buildWorld('cluster.local', knownOf(shop, objectsOf))));
  });

  check('a policy that is added, changed and removed', async (t, f, w) => {
    const actionOf = ({ policies }: World): string | undefined => {
      const entry = policies.security.get('shop/catalog');
      return entry?.kind === 'policy' ? entry.policy.spec.authorization?.rules?.[0]?.action : undefined;
    };
    await w.until(() => true);
    await f.put(policy('p', 'Allow'));
    await w.until((world) => actionOf(world) === 'Allow');
    await f.put(policy('p', 'Deny'));
    await w.until((world) => actionOf(world) === 'Deny');
    await f.remove(policy('p', 'Deny'));
    await w.until((world) => actionOf(world) === undefined);
    t.pass();
  });

  check('what did not change is the same object', async (t, f, w) => {
    await w.until(() => true);
    const service = () => w.loaded?.objects.find((o) => o.object.kind === 'Service');
    const before = service();
    t.not(before, undefined);
    await f.put(policy('p', 'Allow'));
    await w.until((world) => world.policies.security.size === 1);
    t.is(service(), before);
  });

  check('a broken policy keeps its last good state and does not hide others', async (t, f, w) => {
    await w.until(() => true);
    await f.put(policy('p', 'Allow'));
    await w.until((world) => world.policies.security.size === 1);
    await f.put(policy('p', 'Perhaps'));
    await f.put({ ...policy('q', 'Allow'), metadata: { namespace: 'shop', name: 'q' } });
    await w.until(() => w.loaded?.objects.some((o) => o.object.metadata.name === 'q') === true);
    t.is(w.world.policies.security.get('shop/catalog')?.kind, 'policy');
  });
}

function knownOf(text: string, objectsOf: (text: string) => KubeObject[]) {
  const origin = { file: 'x', line: 1 };
  const loaded = { objects: objectsOf(text).map((object) => ({ object, origin, lineOf: () => 1 })), problems: [] };
  return new ObjectStore().apply(loaded).objects;
}
