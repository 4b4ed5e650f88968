/** An application closes its idle connections while requests are on their way to it, as each does that is told to stop. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'ava';

const script = path.resolve(import.meta.dirname, 'keep-alive-race/slow-loopback.ts');

/** A network of its own; and its own processes, which end with it. */
const alone = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Regression: a POST was answered 503 where the end of the connection was read before the reset had come. */
test('a POST that meets a closed connection is sent again, also when its reset comes late', (t) => {
  const ran = spawnSync('unshare', [...alone, process.execPath, '--no-warnings', script], {
    ...{ encoding: 'utf8', timeout: 60_000 },
  });
  if (/qdisc kind is unknown|tc ENOENT/.test(ran.stderr)) {
    t.log('left out: no tc (iproute2), or no token bucket filter in this kernel (sch_tbf), to delay packets with');
    t.pass();
    return;
  }
  t.is(ran.status, 0, ran.stderr);
  t.deepEqual(JSON.parse(ran.stdout), {
    statuses: [200, 200],
    seen: ['POST /first', 'POST /second'],
    cut: 1,
    retries: 0,
  });
});
