/**
 * `npm run demo`: the shop of manifests/demo in a mesh on this machine, with a live view. `--once` checks the nine
 * claims instead and exits with 1 if one fails; `--json FILE` writes them down.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DevClient } from '@chainmail/local';
import { messageOf } from '@chainmail/runtime';
import { type Claim, claims, type Outcome } from './claims.ts';
import { liveView } from './live.ts';
import { RotationWatch } from './rotation.ts';
import { Shop, sleep, waitFor } from './shop.ts';

const root = path.resolve(import.meta.dirname, '../..');
const meshctl = path.join(root, 'node_modules/.bin/meshctl');
const name = 'demo';
/** Short, so that a viewer sees certificates renew: at half their life. */
const certificateTtl = '20s';

const usage = `npm run demo [-- --once] [-- --json FILE] [-- --only ID[,ID]]

  --once        check the claims, print the evidence, clean up; exit 1 if one fails
  --json FILE   with --once: write {"claims": [{"id", "claim", "passed", "evidence"}]}
  --only IDS    with --once: only these claims, e.g. 5-policy,6-ejection
`;

interface Options {
  readonly once: boolean;
  readonly json: string | undefined;
  readonly only: readonly string[] | undefined;
}

function options(): Options {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        json: { type: 'string' },
        only: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const only = values.only?.split(',');
    const unknown = only?.find((id) => !claims.some((c) => c.id === id));
    if (unknown !== undefined) {
      throw new Error(`--only ${unknown}: no such claim; there are ${claims.map((c) => c.id).join(', ')}`);
    }
    return { once: values.once, json: values.json, only };
  } catch (error) {
    process.stderr.write(`demo: ${messageOf(error)}\n${usage}`);
    process.exit(2);
  }
}

function run(args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn(meshctl, args, { stdio: 'inherit' });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** Another demo's mesh has the same name: ours would not come up, and cleaning up would end the other. */
async function refuseSecond(): Promise<void> {
  const other = await new DevClient(name).status().catch(() => undefined);
  if (other === undefined) return;
  console.error(`demo: one is running already (pid ${other.pid}). End it with:\n  meshctl dev down --name ${name}`);
  process.exit(1);
}

async function bringUp(folder: string): Promise<Shop> {
  const args = ['dev', 'up', '-f', folder, '--name', name, '--detach', '--certificate-ttl', certificateTtl];
  if ((await run(args)) !== 0) throw new Error('the mesh did not come up; the reason stands above');
  const dev = new DevClient(name);
  const { nodeNetns } = await dev.status();
  const shop = new Shop(dev, folder, nodeNetns);
  const flowing = await waitFor(async () => ((await shop.load()).succeeded > 50 ? true : undefined), 30_000, 500);
  if (flowing === undefined) throw new Error(`no traffic flows: ${JSON.stringify(await shop.load())}`);
  return shop;
}

async function checkOne(claim: Claim, shop: Shop, rotation: RotationWatch): Promise<Outcome> {
  try {
    return await claim.check(shop, rotation);
  } catch (error) {
    return { passed: false, evidence: `could not be checked: ${messageOf(error)}` };
  }
}

async function once(shop: Shop, { json, only }: Options): Promise<boolean> {
  const rotation = new RotationWatch(shop);
  const results: { id: string; claim: string; passed: boolean; evidence: string }[] = [];
  const wanted = claims.filter((c) => only?.includes(c.id) ?? true);
  console.log(`\n${wanted.length} of nine claims, checked on the running mesh; below each what was seen:\n`);
  for (const claim of wanted) {
    const outcome = await checkOne(claim, shop, rotation);
    results.push({ id: claim.id, claim: claim.claim, ...outcome });
    console.log(
      `${outcome.passed ? 'PASS' : 'FAIL'}  ${claim.id.padEnd(16)} ${claim.claim}\n      ${outcome.evidence}`,
    );
  }
  await rotation.stop();
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify({ claims: results }, null, 2)}\n`);
  const failed = results.filter((r) => !r.passed).map((r) => r.id);
  if (failed.length > 0) {
    console.log(`\nTo look into it:  meshctl dev up -f manifests/demo  and docs/operations.md ("Why was my request refused?")
To check it again: npm run demo -- --once --only ${failed.join(',')}`);
  }
  console.log(`\n${results.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 && results.length > 0;
}

const chosen = options();
if (process.getuid?.() !== 0) {
  const args = process.argv.slice(2);
  console.error(`demo: it makes network namespaces and iptables rules, which needs root. Run:
  sudo npm run demo${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`);
  process.exit(1);
}
await refuseSecond();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-demo-'));
fs.chmodSync(folder, 0o755);
for (const file of fs.readdirSync(path.join(root, 'manifests/demo'))) {
  if (file.endsWith('.yaml')) fs.copyFileSync(path.join(root, 'manifests/demo', file), path.join(folder, file));
}

let cleaning: Promise<void> | undefined;
function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    console.log('\ntaking everything down ...');
    await run(['dev', 'down', '--name', name]);
    fs.rmSync(folder, { recursive: true, force: true });
  })();
  return cleaning;
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void cleanUp().then(() => process.exit(chosen.once ? 130 : 0)));
}

let good = false;
try {
  const shop = await bringUp(folder);
  if (chosen.once) good = await once(shop, chosen);
  else {
    await liveView(shop, meshctl);
    good = true;
  }
} catch (error) {
  console.error(`demo: ${messageOf(error)}`);
  await sleep(100);
} finally {
  await cleanUp();
}
process.exit(good ? 0 : 1);
