/**
 * The live objects as files for the control plane: one JSON file each, replaced by rename. Invariant: a reader sees
 * whole objects only; an unchanged object is not written again.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { KubeObject } from '@chainmail/kube';

function objectFileName(o: KubeObject): string {
  const { namespace, name = '' } = o.metadata;
  return [o.kind.toLowerCase(), ...(namespace === undefined ? [] : [namespace]), name, 'json'].join('.');
}

export class ObjectPublisher {
  readonly #dir: string;
  readonly #written = new Map<string, string>();
  #version = 0;

  constructor(dir: string) {
    this.#dir = dir;
    fs.mkdirSync(dir, { recursive: true, mode: 0o755 });
    for (const stale of fs.readdirSync(dir)) fs.rmSync(path.join(dir, stale), { force: true });
  }

  /** Makes the folder hold exactly these objects. */
  publish(objects: readonly KubeObject[]): void {
    const wanted = new Set<string>();
    for (const o of objects) {
      const file = objectFileName(o);
      wanted.add(file);
      const body = JSON.stringify(o);
      if (this.#written.get(file) === body) continue;
      this.#written.set(file, body);
      this.#write(file, o);
    }
    for (const file of [...this.#written.keys()].filter((f) => !wanted.has(f))) {
      this.#written.delete(file);
      fs.rmSync(path.join(this.#dir, file), { force: true });
    }
  }

  #write(file: string, o: KubeObject): void {
    const object = { ...o, metadata: { ...o.metadata, resourceVersion: String(++this.#version) } };
    const temporary = path.join(this.#dir, `.${file}.tmp`);
    fs.writeFileSync(temporary, `${JSON.stringify(object, null, 1)}\n`);
    fs.renameSync(temporary, path.join(this.#dir, file));
  }
}
