import { randomBytes } from 'node:crypto';
import test from 'ava';
import * as libc from '../sys/libc.ts';
import { seededRandom } from '../worker/random.ts';
import { Loop } from './loop.ts';
import { SocketOutput } from './socket-output.ts';
import { drain, pair, secretOf, suite } from './testing/records.ts';
import { alert } from './tls-alerts.ts';
import { TlsRecords } from './tls-records.ts';

/** One connection: what our output writes, and the peer's record layer reads. */
class Line {
  readonly output: SocketOutput;
  readonly peer: TlsRecords;
  readonly sent: Buffer[] = [];
  readonly got: Buffer[] = [];
  readonly #fds = pair();
  how = 'again';

  constructor(loop: Loop) {
    const [ours, theirs] = this.#fds;
    const secrets = (own: string, peer: string) => ({ suite, own: secretOf(own), peer: secretOf(peer) });
    this.output = new SocketOutput(loop, ours, { onPlaceWanted: () => void this.output.sendSealed() }, false);
    this.peer = new TlsRecords(theirs, 'server', secrets('peer', 'own'), loop);
  }

  open(loop: Loop): void {
    this.output.isReady = true;
    this.output.useRecords(
      new TlsRecords(this.#fds[0], 'client', { suite, own: secretOf('own'), peer: secretOf('peer') }, loop),
    );
  }

  write(bytes: Buffer): void {
    this.sent.push(Buffer.from(bytes));
    if (this.output.write(bytes, 0, bytes.length) < 0) throw new Error(this.output.failure.detail);
    bytes.fill(0); // whoever writes may use the place again
  }

  read(loop: Loop): void {
    const { data, how } = drain(this.peer, loop);
    this.got.push(data);
    this.how = how;
  }

  end(): void {
    this.output.discard();
    for (const fd of this.#fds) libc.close(fd, 0n);
    this.peer.free();
  }
}

test('bytes arrive in their order, corked or not, written early or late, whoever else seals, and however slowly they are read', (t) => {
  const loop = new Loop();
  const random = seededRandom(11);
  const lines = [new Line(loop), new Line(loop), new Line(loop)];
  for (const line of lines) line.write(randomBytes(70_000));
  for (const line of lines) line.open(loop);
  for (let i = 0; i < 400; i++) {
    const line = lines[Math.floor(random() * lines.length)] as Line;
    const dice = random();
    if (dice < 0.2) line.output.cork();
    else if (dice < 0.3) line.output.uncork();
    else if (dice < 0.5) line.read(loop);
    else if (dice < 0.6) line.output.flush();
    else line.write(randomBytes(1 + Math.floor(random() ** 4 * 500_000)));
  }
  for (const line of lines) {
    line.output.uncork();
    line.output.say(alert.closeNotify);
    while (line.how === 'again') {
      line.output.flush();
      line.read(loop);
    }
    t.is(line.how, 'end');
    t.is(line.output.queued, 0);
    t.true(Buffer.concat(line.got).equals(Buffer.concat(line.sent)));
    t.is(line.output.bytesSent, Buffer.concat(line.sent).length);
    line.end();
  }
  t.is(loop.records.owner, null);
  loop.close();
});

test("what waits of a stream that is gone is nobody else's", (t) => {
  const loop = new Loop();
  const [gone, stays] = [new Line(loop), new Line(loop)];
  for (const line of [gone, stays]) line.open(loop);
  gone.output.cork();
  gone.write(Buffer.from('lost'));
  gone.end();
  stays.output.cork();
  stays.write(Buffer.from('found'));
  stays.read(loop);
  t.is(Buffer.concat(stays.got).toString(), '', 'it waits');
  stays.output.uncork();
  stays.read(loop);
  t.is(Buffer.concat(stays.got).toString(), 'found');
  stays.end();
  loop.close();
});
