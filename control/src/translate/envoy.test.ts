/** A real Envoy reads everything that the golden inputs translate to. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import { envoyVerdict, findEnvoy, staticBootstrap } from '../testing/envoy.ts';
import { renderFor } from '../testing/render.ts';
import { objectsOf } from '../testing/world-files.ts';

const dir = path.join(import.meta.dirname, 'testdata');
const envoy = findEnvoy();

if (envoy === undefined) {
  test.skip('Envoy reads the output: no Envoy here; `npm run bench` installs one, or set CHAINMAIL_ENVOY', () => {});
} else {
  for (const input of fs.readdirSync(dir).filter((f) => !f.endsWith('.golden.yaml'))) {
    test.serial(`Envoy accepts ${input}`, (t) => {
      const text = fs.readFileSync(path.join(dir, input), 'utf8');
      const agent = /^# agent: (\S+)/.exec(text)?.[1] ?? '';
      const rendered = renderFor(buildWorld('cluster.local', objectsOf(text)), agent, 'declared');
      t.is(envoyVerdict(envoy, staticBootstrap(rendered)), undefined);
    });
  }
}
