import fs from 'node:fs';
import test from 'ava';
import { codeMappings, forgetColdCode, trimHeap } from './heap.ts';

const node = '/opt/node bin/node';
const maps = `00400000-00f5b000 r--p 00000000 08:01 131                               ${node}
00f5b000-03a00000 r-xp 00b5b000 08:01 131                               ${node}
03a00000-03a08000 rw-p 03600000 08:01 131                               ${node}
7f0000000000-7f0000100000 r-xp 00000000 08:01 99                        /usr/lib/libc.so.6
7f0000200000-7f0000300000 r-xp 00000000 00:00 0
7f0000400000-7f0000500000 rwxp 00b5b000 08:01 131                       ${node}
`;

test('only code of the given file that cannot be written is named', (t) => {
  t.deepEqual(codeMappings(maps, node), [{ start: 0xf5b000n, end: 0x3a00000n }]);
  t.deepEqual(codeMappings(maps, '/elsewhere/node'), []);
});

function fileBackedKb(): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

test('code that is out of the page table comes back when it runs', (t) => {
  const before = fileBackedKb();
  forgetColdCode();
  trimHeap();
  const after = fileBackedKb();
  t.true(after < before - 8_192, `${before} -> ${after} KB`);
  t.is(JSON.parse('{"a":[1,2,3]}').a.length, 3);
  t.is([3, 1, 2].sort().join(), '1,2,3');
});
