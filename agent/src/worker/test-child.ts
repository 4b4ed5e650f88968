/** For a test: an engine in a process of its own, proxying to the port given as argument. Prints its port and reports. */
import { Loop } from '../net/loop.ts';
import { slotCount } from '../stats/layout.ts';
import { Engine } from './engine.ts';
import { chain, cluster, emptyUpdate, endpoints, listener } from './testing.ts';

const loop = new Loop();
const engine = new Engine(loop, {
  slots: new Float64Array(new SharedArrayBuffer(slotCount * 8)),
  log: { write: () => {}, writeLine: () => {}, publish: () => {} },
  random: () => 0.5,
  drainMs: 1000,
  report: (_level, msg) => process.stdout.write(`${msg}\n`),
});
engine.apply({
  ...emptyUpdate,
  clusters: [cluster('app', 0)],
  endpoints: [endpoints('app', Number(process.argv[2]))],
  listeners: [listener([chain('a', 'app')])],
});
process.stdout.write(`port ${engine.portsOf('test')[0]}\n`);
const turn = (): void => {
  loop.run(20);
  setImmediate(turn);
};
turn();
