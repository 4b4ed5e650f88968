import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { readObjects, watchObjects } from './files.ts';
import type { Loaded } from './parse-objects.ts';

const account = (name: string): string => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name} }\n`;

function folder(t: { teardown(f: () => void): void }): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-files-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('folders are read in order; hidden and other files are passed over', (t) => {
  const dir = folder(t);
  fs.mkdirSync(path.join(dir, 'sub'));
  fs.writeFileSync(path.join(dir, 'b.yaml'), account('b'));
  fs.writeFileSync(path.join(dir, 'a.json'), '{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}}');
  fs.writeFileSync(path.join(dir, 'sub/c.yml'), account('c'));
  fs.writeFileSync(path.join(dir, '.hidden.yaml'), account('h'));
  fs.writeFileSync(path.join(dir, 'readme.md'), 'x');
  t.deepEqual(
    readObjects([dir, path.join(dir, 'nowhere')]).objects.map((o) => o.object.metadata.name),
    ['a', 'b', 'c'],
  );
});

test('a folder that is not there and a file just emptied are problems, not nothing', (t) => {
  const dir = folder(t);
  fs.writeFileSync(path.join(dir, 'a.yaml'), '');
  const nowhere = path.join(dir, 'nowhere');
  t.deepEqual(
    readObjects([dir, nowhere]).problems.map((p) => [p.origin.file, p.reason]),
    [
      [nowhere, 'the folder is not there'],
      [path.join(dir, 'a.yaml'), 'the file is empty; remove it if its objects are to go'],
    ],
  );
});

test('an empty folder is told at once, and a folder that goes away is a problem', async (t) => {
  const dir = folder(t);
  const seen: Loaded[] = [];
  let more = (): void => {};
  const watch = watchObjects(
    [dir],
    (l) => {
      seen.push(l);
      more();
    },
    { settleMs: 1, pollMs: 20 },
  );
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => {
    watch.close();
    clearInterval(alive);
  });
  t.deepEqual(seen, [{ objects: [], problems: [] }]);
  const next = new Promise<void>((resolve) => {
    more = resolve;
  });
  fs.rmdirSync(dir);
  await next;
  t.is(seen.at(-1)?.problems[0]?.reason, 'the folder is not there');
});

test('a change and a removal are seen', async (t) => {
  const dir = folder(t);
  const file = path.join(dir, 'a.yaml');
  fs.writeFileSync(file, account('a'));
  let tell = (_: Loaded): void => {};
  const names = (wanted: string): Promise<void> =>
    new Promise((resolve) => {
      tell = (l) => {
        if (l.objects.map((o) => o.object.metadata.name).join() === wanted) resolve();
      };
    });
  const first = names('a');
  const watch = watchObjects([dir], (l) => tell(l), { settleMs: 1, pollMs: 20 });
  const alive = setInterval(() => {}, 1000); // a watch keeps no process alive
  t.teardown(() => {
    watch.close();
    clearInterval(alive);
  });
  await first;
  const second = names('a,b');
  fs.writeFileSync(path.join(dir, 'b.yaml'), account('b'));
  await second;
  const third = names('b');
  fs.rmSync(file);
  await third;
  t.pass();
});
