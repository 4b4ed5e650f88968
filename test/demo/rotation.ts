/** Counts how often each agent's certificate changed since the watch began. */
import { type Shop, sleep } from './shop.ts';

export class RotationWatch {
  readonly #serials = new Map<string, string[]>();
  #running = true;
  #loop: Promise<void>;

  constructor(shop: Shop, everyMs = 1000) {
    this.#loop = this.#watch(shop, everyMs);
  }

  /** Forgets the past: what is counted from now on begins with the certificates of this moment. */
  mark(): void {
    for (const [pod, serials] of this.#serials) this.#serials.set(pod, serials.slice(-1));
  }

  /** The smallest number of rotations any pod has seen since the mark; 0 before all were read. */
  fewest(): number {
    const counts = [...this.#serials.values()].map((s) => s.length - 1);
    return counts.length === 0 ? 0 : Math.min(...counts);
  }

  describe(): string {
    const counts = [...this.#serials.values()].map((s) => s.length - 1);
    const [example] = this.#serials;
    return `${counts.length} pods rotated ${Math.min(...counts)} to ${Math.max(...counts)} times, e.g. ${example?.[0]}: serials ${example?.[1].map((s) => `${s.slice(0, 8)}...`).join(', ')}`;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async #watch(shop: Shop, everyMs: number): Promise<void> {
    while (this.#running) {
      for (const pod of await shop.pods('shop').catch(() => [])) {
        const serial = (await shop.certificate(pod).catch(() => undefined))?.serial;
        if (serial === undefined || serial === '') continue;
        const seen = this.#serials.get(pod.name) ?? [];
        if (seen.at(-1) !== serial) this.#serials.set(pod.name, [...seen, serial]);
      }
      await sleep(everyMs);
    }
  }
}
