/**
 * Runtime (layered_runtime): values by key that stand above what the configuration says where it names a key. They are
 * looked up while resources are compiled, so a request pays nothing; a change compiles everything anew.
 * Layers are static, or the one that /runtime_modify writes to; the last one that has a key wins.
 */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { LayeredRuntime, RuntimeLayer } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import type { MessageReader } from './message-reader.ts';

type Value = string | number | boolean | JsonObject;

interface Layer {
  readonly name: string;
  readonly values: Map<string, Value>;
}

const denominators: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };

export class RuntimeValues {
  readonly #layers: readonly Layer[];
  readonly #admin: Layer | null;
  /** Loads so far, of all layers together. */
  loads = 1;

  constructor(layers: readonly Layer[] = [], admin: Layer | null = null) {
    this.#layers = layers;
    this.#admin = admin;
  }

  get layerNames(): readonly string[] {
    return this.#layers.map((l) => l.name);
  }

  get adminOverrides(): number {
    return this.#admin?.values.size ?? 0;
  }

  keys(): ReadonlySet<string> {
    return new Set(this.#layers.flatMap((l) => [...l.values.keys()]));
  }

  #find(key: string): Value | undefined {
    if (key === '') return undefined;
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const value = this.#layers[i]?.values.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** A number, or what the configuration says where the value is none. */
  number(key: string, configured: number): number {
    const value = this.#find(key);
    if (typeof value === 'number') return value;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    return Number.isFinite(number) ? number : configured;
  }

  /** The same for a value that cannot be below 0 or broken. */
  whole(key: string, configured: number): number {
    const value = this.number(key, configured);
    return Number.isInteger(value) && value >= 0 ? value : configured;
  }

  /** A switch: true and false, also as text and in Envoy's other words, or a number that is 0 or not. */
  flag(key: string, configured: boolean): boolean {
    const value = this.#find(key);
    if (typeof value === 'boolean') return value;
    if (typeof value === 'string' && /^\s*(true|t|yes|y)\s*$/i.test(value)) return true;
    if (typeof value === 'string' && /^\s*(false|f|no|n)\s*$/i.test(value)) return false;
    const number = this.whole(key, -1);
    return number < 0 ? configured : number !== 0;
  }

  /** A share from 0 to 1: a fraction, or a whole number in percent. */
  share(key: string, configured: number): number {
    const value = this.#find(key);
    if (typeof value === 'object') return Math.min(1, shareOf(value) ?? configured);
    const percent = this.number(key, Number.NaN);
    return Number.isInteger(percent) && percent >= 0 ? Math.min(1, percent / 100) : configured;
  }

  /** Writes to the admin layer; '' takes an override away. False when there is none. */
  modify(changes: Iterable<readonly [key: string, value: string]>): boolean {
    if (this.#admin === null) return false;
    for (const [key, value] of changes) {
      if (value === '') this.#admin.values.delete(key);
      else this.#admin.values.set(key, value);
    }
    this.loads++;
    return true;
  }

  /** As /runtime shows it. */
  json(): unknown {
    const entries = [...this.keys()].sort().map((key) => {
      const layers = this.#layers.map((l) => textOf(l.values.get(key)));
      return [key, { layer_values: layers, final_value: textOf(this.#find(key)) }] as const;
    });
    return { layers: this.layerNames, entries: Object.fromEntries(entries) };
  }
}

export const noRuntime: RuntimeValues = new RuntimeValues();

function shareOf(value: JsonObject): number | null {
  const { numerator = 0, denominator = 'HUNDRED' } = value;
  const of = typeof denominator === 'string' ? denominators[denominator] : undefined;
  return typeof numerator === 'number' && numerator >= 0 && of !== undefined ? numerator / of : null;
}

function textOf(value: Value | undefined): string {
  return value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function readLayeredRuntime(r: MessageReader<LayeredRuntime>): RuntimeValues {
  let admin: Layer | null = null;
  const names = new Set<string>();
  const layers = r.each('layers', (l) => {
    const name = l.take('name');
    if (names.has(name)) throw l.invalid('name', `Duplicate layer name: ${name}`);
    names.add(name);
    const { layer, isAdmin } = readLayer(l, name);
    if (!isAdmin) return layer;
    if (admin !== null) throw l.invalid('adminLayer', 'Too many admin layers specified in LayeredRuntime');
    admin = layer;
    return layer;
  });
  return new RuntimeValues(layers, admin);
}

function readLayer(r: MessageReader<RuntimeLayer>, name: string): { readonly layer: Layer; readonly isAdmin: boolean } {
  const specifier = r.take('layerSpecifier');
  const values = new Map<string, Value>();
  switch (specifier.case) {
    case 'staticLayer':
      flatten(r, specifier.value, '', values);
      return { layer: { name, values }, isAdmin: false };
    case 'adminLayer':
      return { layer: { name, values }, isAdmin: true };
    default:
      throw r.unsupported(specifier.case ?? 'layerSpecifier', 'only static_layer and admin_layer are implemented');
  }
}

/** `a: { b: 1 }` is the key `a.b`; an object with a numerator or denominator is one value. */
function flatten(r: MessageReader<RuntimeLayer>, object: JsonObject, prefix: string, into: Map<string, Value>): void {
  for (const [name, value] of Object.entries(object)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (!isObject(value)) {
      if (value === null || Array.isArray(value))
        throw r.invalid('staticLayer', `Invalid runtime entry value for ${key}`);
      into.set(key, value as Value);
    } else if ('numerator' in value || 'denominator' in value) {
      if (shareOf(value) === null) throw r.invalid('staticLayer', `Invalid runtime entry value for ${key}`);
      into.set(key, value);
    } else flatten(r, value, key, into);
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
