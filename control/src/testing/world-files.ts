/** A small mesh as objects, for tests: `shop` with web, catalog and an unmeshed database. */
import { decodeObject, type KnownObject, type Loaded, parseObjects } from '@chainmail/kube';
import type { Source } from '../source/source.ts';

const pod = (name: string, ip: string, account: string, labels: string, meshed = true): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: ${labels} }
spec:
  serviceAccountName: ${account}
  initContainers: [${meshed ? '{ name: mesh-init }, { name: mesh-agent, restartPolicy: Always }' : ''}]
  containers: [{ name: app, ports: [{ containerPort: 8080 }] }]
status: { phase: Running, podIP: ${ip}, conditions: [{ type: Ready, status: "True" }] }
---`;

export const shop = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: catalog, namespace: shop }
spec: { clusterIP: 10.96.0.10, selector: { app: catalog }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIP: 10.96.0.11, selector: { app: db }, ports: [{ name: tcp-db, port: 5432 }] }
---
${pod('web-1', '10.1.0.5', 'web', '{ app: web }')}
${pod('catalog-1', '10.1.0.6', 'catalog', '{ app: catalog }')}
${pod('db-1', '10.1.0.7', 'db', '{ app: db }', false)}
`;

export const catalogPolicy = `
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: catalog-readers, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: catalog }]
  authorization:
    rules:
      - name: web-reads
        action: Allow
        principal: { serviceAccounts: [web] }
        operation: { methods: [GET] }
`;

/** The objects of YAML texts, all of which must be sound. */
export function objectsOf(...texts: string[]): KnownObject[] {
  return texts.flatMap((text) =>
    parseObjects(text, 'test.yaml').objects.map((o) => {
      const decoded = decodeObject(o);
      if (decoded.outcome === 'known') return decoded.object;
      throw new Error(
        decoded.outcome === 'invalid' ? decoded.problems.map((p) => p.reason).join('\n') : 'foreign kind',
      );
    }),
  );
}

/** A source that a test changes by hand; each text is a file of its own. */
export class TextSource implements Source {
  readonly #files = new Map<string, string>();
  #call: ((loaded: Loaded) => void) | undefined;

  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) this.#files.set(name, text);
  }

  start(onChange: (loaded: Loaded) => void): { close(): void } {
    this.#call = onChange;
    onChange(this.#loaded());
    return { close: () => (this.#call = undefined) };
  }

  put(name: string, text: string): void {
    this.#files.set(name, text);
    this.#call?.(this.#loaded());
  }

  remove(name: string): void {
    this.#files.delete(name);
    this.#call?.(this.#loaded());
  }

  #loaded(): Loaded {
    const all = [...this.#files].map(([name, text]) => parseObjects(text, name));
    return { objects: all.flatMap((l) => l.objects), problems: all.flatMap((l) => l.problems) };
  }
}
