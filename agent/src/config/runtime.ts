/**
 * Runtime (layered_runtime): values by key that stand above what the configuration says where it names a key. They are
 * looked up while resources are compiled, so a request pays nothing; a change compiles everything anew.
 * Layers are static, a tree of files, discovered (RTDS), or the one that /runtime_modify writes to; the last one that has
 * a key wins.
 */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { parseConfigText } from '@chainmail/xds/text';

export type RuntimeValue = string | number | boolean | JsonObject;
export type RuntimeLayerValues = ReadonlyMap<string, RuntimeValue>;

export interface RuntimeLayerState {
  readonly name: string;
  /** null: it is not there, as a tree of files may be. */
  values: RuntimeLayerValues | null;
}

/** A layer that is read from files. */
export interface RuntimeTree {
  readonly layer: string;
  /** The symbolic link that is exchanged for another tree. */
  readonly root: string;
  /** Where in it the values are. */
  readonly path: string;
}

/** A layer that discovery brings. */
export interface RuntimeResource {
  readonly layer: string;
  readonly resource: string;
  readonly path: string;
}

const denominators: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };

export interface RuntimeLayers {
  readonly layers: readonly RuntimeLayerState[];
  /** Values of the admin layer, which are among the layers; null without one. */
  readonly admin: Map<string, string> | null;
  readonly trees: readonly RuntimeTree[];
  readonly resources: readonly RuntimeResource[];
}

export class RuntimeValues {
  readonly trees: readonly RuntimeTree[];
  readonly resources: readonly RuntimeResource[];
  readonly #layers: readonly RuntimeLayerState[];
  readonly #admin: Map<string, string> | null;
  /** Loads so far, of all layers together, and those that have failed. */
  loads = 1;
  failedLoads = 0;

  constructor({ layers, admin, trees, resources }: RuntimeLayers = noLayers) {
    this.#layers = layers;
    this.#admin = admin;
    this.trees = trees;
    this.resources = resources;
  }

  get layerNames(): readonly string[] {
    return this.#present().map((l) => l.name);
  }

  get adminOverrides(): number {
    return this.#admin?.size ?? 0;
  }

  keys(): ReadonlySet<string> {
    return new Set(this.#present().flatMap((l) => [...(l.values?.keys() ?? [])]));
  }

  #present(): readonly RuntimeLayerState[] {
    return this.#layers.filter((l) => l.values !== null);
  }

  /** A tree was read; null: there is none. */
  replaceTree(layer: string, values: RuntimeLayerValues | null): void {
    this.#replace(layer, values);
    this.loads++;
  }

  /** Discovery has brought a resource, for every layer that asks for it; an empty one when it was removed. */
  replaceResource(resource: string, values: RuntimeLayerValues): void {
    for (const { layer, resource: wanted } of this.resources) if (wanted === resource) this.#replace(layer, values);
    this.loads++;
  }

  #replace(name: string, values: RuntimeLayerValues | null): void {
    const layer = this.#layers.find((l) => l.name === name);
    if (layer !== undefined) layer.values = values;
  }

  /** The layer that decides about a key. */
  #layerOf(key: string): RuntimeLayerState | undefined {
    if (key === '') return undefined;
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const layer = this.#layers[i];
      if (layer?.values?.has(key) === true) return layer;
    }
    return undefined;
  }

  #find(key: string): RuntimeValue | undefined {
    return this.#layerOf(key)?.values?.get(key);
  }

  /** A number, or what the configuration says where the value is none. */
  number(key: string, configured: number): number {
    const value = this.#find(key);
    if (typeof value === 'number') return value;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    return Number.isFinite(number) ? number : configured;
  }

  /** The same for what cannot be below 0 or beyond 64 bits; what is behind the point is cut off. */
  whole(key: string, configured: number): number {
    const value = this.number(key, Number.NaN);
    return value >= 0 && value < 2 ** 64 ? Math.floor(value) : configured;
  }

  /** A switch: true and false, also as text, or a whole number that is 0 or not. */
  flag(key: string, configured: boolean): boolean {
    const value = this.#find(key);
    if (typeof value === 'boolean') return value;
    if (typeof value === 'string' && /^\s*true\s*$/i.test(value)) return true;
    if (typeof value === 'string' && /^\s*false\s*$/i.test(value)) return false;
    const number = this.number(key, Number.NaN);
    return Number.isInteger(number) ? number !== 0 : configured;
  }

  /** A share from 0 to 1: a fraction, or whole percents. */
  share(key: string, configured: number): number {
    const layer = this.#layerOf(key);
    const value = layer?.values?.get(key);
    const fraction = typeof value === 'string' && !this.#isOfText(layer) ? null : fractionOf(value);
    if (fraction !== null) return Math.min(1, shareOf(fraction) ?? configured);
    const percent = this.whole(key, -1);
    return percent >= 0 ? Math.min(1, percent / 100) : configured;
  }

  /** Files and the admin interface have nothing but text; in the other layers a text is no fraction. */
  #isOfText(layer: RuntimeLayerState | undefined): boolean {
    return layer !== undefined && (layer.values === this.#admin || this.trees.some((t) => t.layer === layer.name));
  }

  /** Writes to the admin layer; '' takes an override away. False when there is none. */
  modify(changes: Iterable<readonly [key: string, value: string]>): boolean {
    if (this.#admin === null) return false;
    for (const [key, value] of changes) {
      if (value === '') this.#admin.delete(key);
      else this.#admin.set(key, value);
    }
    this.loads++;
    return true;
  }

  /** As /runtime shows it. */
  json(): unknown {
    const entries = [...this.keys()].sort().map((key) => {
      const layers = this.#present().map((l) => textOf(l.values?.get(key)));
      return [key, { layer_values: layers, final_value: textOf(this.#find(key)) }] as const;
    });
    return { layers: this.layerNames, entries: Object.fromEntries(entries) };
  }
}

const noLayers: RuntimeLayers = { layers: [], admin: null, trees: [], resources: [] };

export const noRuntime: RuntimeValues = new RuntimeValues();

/** A fraction as an object, or as its text, which files and the admin interface have. */
function fractionOf(value: RuntimeValue | undefined): JsonObject | null {
  if (typeof value === 'object') return value;
  if (typeof value !== 'string' || !/numerator|denominator/.test(value)) return null;
  try {
    const parsed = parseConfigText(value, 'runtime') as JsonValue;
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function shareOf(value: JsonObject): number | null {
  const { numerator = 0, denominator = 'HUNDRED' } = value;
  const of = typeof denominator === 'string' ? denominators[denominator] : undefined;
  return typeof numerator === 'number' && numerator >= 0 && of !== undefined ? numerator / of : null;
}

function textOf(value: RuntimeValue | undefined): string {
  return value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** `a: { b: 1 }` is the key `a.b`; an object with a numerator or denominator is one value. */
export function flattenRuntime(object: JsonObject, invalid: (reason: string) => Error): RuntimeLayerValues {
  const into = new Map<string, RuntimeValue>();
  const walk = (level: JsonObject, prefix: string): void => {
    for (const [name, value] of Object.entries(level)) {
      const key = prefix === '' ? name : `${prefix}.${name}`;
      if (!isObject(value)) {
        if (value === null || Array.isArray(value)) throw invalid(`Invalid runtime entry value for ${key}`);
        into.set(key, value as RuntimeValue);
      } else if ('numerator' in value || 'denominator' in value) {
        if (shareOf(value) === null) throw invalid(`Invalid runtime entry value for ${key}`);
        into.set(key, value);
      } else walk(value, key);
    }
  };
  walk(object, '');
  return into;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
