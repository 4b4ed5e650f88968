/** The HTTP/2 engine's surroundings on the main thread, made when the first connection of our own needs them. */
import { Http2Host } from '../http2/host.ts';
import { readCapacity, readHeadroom, readTailroom } from '../net/stream.ts';

/** @param defer runs work when the turn is over */
export function hostOnMainThread(defer: (work: () => void) => void): Http2Host {
  return new Http2Host({
    readBuffer: Buffer.allocUnsafeSlow(readHeadroom + readCapacity + readTailroom),
    clock: {
      get nowMs() {
        return performance.now();
      },
      get wallMs() {
        return Date.now();
      },
    },
    timers: {
      after(delayMs, call) {
        const timer = setTimeout(call, delayMs);
        timer.unref();
        return { cancel: () => clearTimeout(timer) };
      },
    },
    defer,
    random: Math.random,
  });
}

let made: Http2Host | null = null;

export function mainHost(): Http2Host {
  made ??= hostOnMainThread((work) => process.nextTick(work));
  return made;
}
