/** Layers of the runtime out of Envoy's messages: static, a tree of files, discovered, or for the admin interface. */
import type {
  LayeredRuntime,
  RuntimeLayer,
  RuntimeLayer_DiskLayer,
  RuntimeLayer_RtdsLayer,
} from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import type { Runtime } from '@chainmail/xds/proto/envoy/service/runtime/v3/rtds';
import { readAdsSource } from './config-source.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import {
  flattenRuntime,
  type RuntimeLayers,
  type RuntimeLayerValues,
  type RuntimeResource,
  type RuntimeTree,
  RuntimeValues,
} from './runtime.ts';

/** What reading layers needs from outside. */
export interface RuntimeSources {
  /** RuntimeLayerValues of a tree of files, by their keys; null when it is not there. Absent: there are no files. */
  readonly readTree?: (path: string) => ReadonlyMap<string, string> | null;
  /** Name of this proxy's cluster, for append_service_cluster. */
  readonly cluster: string;
}

type Collected = {
  -readonly [K in keyof RuntimeLayers]: RuntimeLayers[K] extends readonly (infer I)[] ? I[] : RuntimeLayers[K];
};

export function readLayeredRuntime(r: MessageReader<LayeredRuntime>, sources: RuntimeSources): RuntimeValues {
  const found: Collected = { layers: [], admin: null, trees: [], resources: [] };
  const names = new Set<string>();
  r.each('layers', (l) => {
    const name = l.take('name');
    if (names.has(name)) throw l.invalid('name', `Duplicate layer name: ${name}`);
    names.add(name);
    found.layers.push({ name, values: readLayer(l, name, sources, found) });
  });
  return new RuntimeValues(found);
}

function readLayer(
  r: MessageReader<RuntimeLayer>,
  name: string,
  sources: RuntimeSources,
  found: Collected,
): RuntimeLayerValues | null {
  const specifier = r.take('layerSpecifier');
  switch (specifier.case) {
    case 'staticLayer':
      return flattenRuntime(specifier.value, (reason) => r.invalid('staticLayer', reason));
    case 'adminLayer':
      if (found.admin !== null) throw r.invalid('adminLayer', 'Too many admin layers specified in LayeredRuntime');
      found.admin = new Map();
      return found.admin;
    case 'diskLayer': {
      const tree = r.within('diskLayer', specifier.value, (d) => readTreePlace(d, name, sources.cluster));
      found.trees.push(tree);
      try {
        return sources.readTree?.(tree.path) ?? null;
      } catch (error) {
        throw r.invalid('diskLayer', error instanceof Error ? error.message : String(error));
      }
    }
    case 'rtdsLayer':
      found.resources.push(r.within('rtdsLayer', specifier.value, (d) => readResourceName(d, name)));
      return new Map();
    case undefined:
      throw r.invalid('layerSpecifier', 'one of static_layer, disk_layer, admin_layer, rtds_layer is required');
  }
}

function readTreePlace(r: MessageReader<RuntimeLayer_DiskLayer>, layer: string, cluster: string): RuntimeTree {
  const root = r.take('symlinkRoot');
  if (root === '') throw r.invalid('symlinkRoot', 'is required');
  const below = r.take('appendServiceCluster') ? `/${cluster}` : '';
  return { layer, root, path: `${root}/${r.take('subdirectory')}${below}` };
}

function readResourceName(r: MessageReader<RuntimeLayer_RtdsLayer>, layer: string): RuntimeResource {
  const resource = r.take('name');
  if (resource === '') throw r.invalid('name', 'is required');
  r.required('rtdsConfig', readAdsSource);
  return { layer, resource, path: r.at('rtdsConfig') };
}

/** A resource of RTDS. @throws FieldError for a value that is none */
export function compileRuntime(
  message: Runtime,
  path: string,
): { readonly name: string; readonly values: RuntimeLayerValues } {
  return readMessage(message, path, (r: MessageReader<Runtime>) => {
    const layer = r.take('layer') ?? {};
    return { name: r.take('name'), values: flattenRuntime(layer, (reason) => r.invalid('layer', reason)) };
  });
}
