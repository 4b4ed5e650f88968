import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '@chainmail/runtime/testing';
import test from 'ava';
import { bootstrapOf, environment, type Json } from '../config/testing/compile.ts';
import { readRuntimeTree } from './runtime-trees.ts';
import { AgentProcess } from './testing/agent-process.ts';
import { folderWith } from './testing/folder.ts';

/** Exchanges a link in one step, as atomic writers do. */
function exchange(link: string, target: string): void {
  fs.symlinkSync(target, `${link}.next`);
  fs.renameSync(`${link}.next`, link);
}

test('a file is a key, its directories come before it; comments and the last line end are no value', (t) => {
  const dir = folderWith(t, {
    plain: '5\n',
    'a/b/c': '# a comment\n50\n# another\n',
    'a/text': 'two\nlines \n\n',
    empty: '# only this\n',
  });
  t.deepEqual(
    readRuntimeTree(dir),
    new Map([
      ['a.b.c', '50'],
      ['a.text', 'two\nlines'],
      ['empty', ''],
      ['plain', '5'],
    ]),
  );
  t.is(readRuntimeTree(path.join(dir, 'absent')), null);
  t.is(readRuntimeTree(path.join(dir, 'plain')), null);
});

test('a tree that leads back into itself, one of the kernel, and a huge file are refused by name', (t) => {
  const loop = folderWith(t);
  fs.symlinkSync(loop, path.join(loop, 'again'));
  t.throws(() => readRuntimeTree(loop), { code: 'RUNTIME_TREE', message: /nested deeper than 16/ });
  const kernel = folderWith(t);
  fs.symlinkSync('/proc/self', path.join(kernel, 'self'));
  t.throws(() => readRuntimeTree(kernel), { code: 'RUNTIME_TREE', message: /where no runtime values may be/ });
  const large = folderWith(t, { big: 'x'.repeat(64 * 1024 + 1) });
  t.throws(() => readRuntimeTree(large), { code: 'RUNTIME_TREE', message: /big: larger than 65536 bytes/ });
});

test('layers of files and others override in their order; the place is made of link, subdirectory and cluster', (t) => {
  const dir = folderWith(t, {
    'now/of/envoy/a': '1',
    'now/of/envoy/b': '2',
    'now/of/envoy/f': '{numerator: 5, denominator: MILLION}',
  });
  const disk = (more: Json): Json => ({ name: 'files', disk_layer: { symlink_root: path.join(dir, 'now'), ...more } });
  const boot = (layers: readonly Json[]) =>
    bootstrapOf(
      { node: { cluster: 'envoy', id: 'i' }, layered_runtime: { layers } },
      environment({ readTree: readRuntimeTree }),
    ).runtime;
  const base = { name: 'base', static_layer: { a: 10, c: 30 } };
  const top = { name: 'top', static_layer: { b: 20 } };
  const runtime = boot([base, disk({ subdirectory: 'of', append_service_cluster: true }), top]);
  t.deepEqual(
    ['a', 'b', 'c'].map((key) => runtime.number(key, -1)),
    [1, 20, 30],
  );
  t.is(runtime.share('f', 1), 5e-6);
  t.deepEqual(runtime.layerNames, ['base', 'files', 'top']);
  t.deepEqual(runtime.trees, [{ layer: 'files', root: path.join(dir, 'now'), path: `${dir}/now/of/envoy` }]);
  const absent = boot([base, disk({ subdirectory: 'other' })]);
  t.deepEqual(absent.layerNames, ['base'], 'a tree that is not there is no layer');
  t.throws(() => boot([{ name: 'x', disk_layer: { subdirectory: 'y' } }]), {
    message: 'layered_runtime.layers[0].disk_layer.symlink_root: is required',
  });
});

const config = (port: number, dir: string): string => `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
layered_runtime:
  layers:
  - { name: base, static_layer: { open: 0 } }
  - { name: files, disk_layer: { symlink_root: ${dir}/current } }
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: /, runtime_fraction: { runtime_key: open, default_value: { numerator: 0 } } }
                direct_response: { status: 200, body: { inline_string: open } }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`;

test('the tree is read again when its link is exchanged; one that cannot be read changes nothing', async (t) => {
  const dir = folderWith(t, { 'one/open': '0', 'two/open': '100', 'three/again/open': '0' });
  fs.symlinkSync(path.join(dir, 'three'), path.join(dir, 'three/again/loop'));
  exchange(path.join(dir, 'current'), path.join(dir, 'one'));
  const port = await freePort();
  const agent = new AgentProcess(config(port, dir));
  t.teardown(() => agent.stop('SIGKILL'));
  await agent.started();
  const status = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status;
  t.is(await status(), 404);
  exchange(path.join(dir, 'current'), path.join(dir, 'two'));
  while ((await status()) !== 200);
  exchange(path.join(dir, 'current'), path.join(dir, 'three'));
  await agent.says('runtime values could not be read');
  t.is(await status(), 200);
  exchange(path.join(dir, 'current'), path.join(dir, 'one'));
  while ((await status()) !== 404);
  t.pass();
});
