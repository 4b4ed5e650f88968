/** uid and creation time for objects that come from files, which have none: the same for an object as long as we run. */
import { randomUUID } from 'node:crypto';
import { type KubeObject, objectKey } from '@chainmail/kube';

export class ObjectUids {
  readonly #known = new Map<string, { readonly uid: string; readonly creationTimestamp: string }>();

  of(object: KubeObject): string {
    return this.#entry(object).uid;
  }

  add<T extends KubeObject>(object: T): T {
    return { ...object, metadata: { ...this.#entry(object), ...object.metadata } };
  }

  #entry(object: KubeObject): { readonly uid: string; readonly creationTimestamp: string } {
    const key = objectKey(object);
    const known = this.#known.get(key) ?? { uid: randomUUID(), creationTimestamp: new Date().toISOString() };
    this.#known.set(key, known);
    return known;
  }
}
