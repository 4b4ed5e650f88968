/** What is behind a tunnel that ends at the agent: bytes without messages. */
import type { FakeStream } from '../fake-stream.ts';
import { Outbox } from './outbox.ts';
import type { LifeUpstream } from './peers.ts';

export class RawLifeUpstream implements LifeUpstream {
  readonly outbox: Outbox;
  readonly hasNonsense = false;

  constructor(stream: FakeStream) {
    this.outbox = new Outbox(stream);
  }

  body(_which: number, bytes: number, last: boolean): void {
    this.outbox.post('~'.repeat(bytes));
    if (last) this.goAway();
  }

  goAway(): void {
    this.outbox.flush();
    this.outbox.stream.end();
  }

  reset(): void {
    this.outbox.stream.fail('remote-reset');
  }

  find(): number {
    return -1;
  }

  greet(): void {}
  inform(): void {}
  answer(): void {}
  trailers(): void {}
  nonsense(): void {}
  widen(): void {}

  widenAll(): void {}
  observe(): void {}
}
