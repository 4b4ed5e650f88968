import test from 'ava';
import { parseCommand, type ServeOptions } from './options.ts';

function optionsOf(...args: string[]): ServeOptions {
  const command = parseCommand(args);
  if (command.kind !== 'serve' && command.kind !== 'sidecar') throw new Error(command.kind);
  return command.options;
}

test("Envoy's flags, with its defaults", (t) => {
  t.like(optionsOf('-c', 'f'), { configPath: 'f', mode: 'serve', concurrency: null, drainTimeS: 600, warnings: [] });
  t.like(
    optionsOf('--config-path=f', '-l', 'debug', '--concurrency', '3', '--drain-time-s', '0', '--mode', 'validate'),
    {
      logLevel: 'debug',
      concurrency: 3,
      drainTimeS: 0,
      mode: 'validate',
    },
  );
  t.like(parseCommand(['sidecar']), { kind: 'sidecar' });
  t.deepEqual(parseCommand(['init', '--x', 'y']), { kind: 'init', args: ['--x', 'y'] });
});

test('flags that make no sense here are accepted with a warning', (t) => {
  const { warnings } = optionsOf('-c', 'f', '--base-id', '1', '--disable-hot-restart', '--parent-shutdown-time-s', '9');
  t.deepEqual(warnings.length, 3);
  t.true(warnings.includes('--base-id has no effect: there is no hot restart'));
});

for (const args of [
  [],
  ['-c'],
  ['-c', 'f', '--bogus'],
  ['-c', 'f', 'extra'],
  ['-c', 'f', '--concurrency', '-1'],
  ['-c', 'f', '--concurrency', 'x'],
  ['-c', 'f', '--mode', 'init_only'],
]) {
  test(`'${args.join(' ')}' is refused`, (t) => {
    t.throws(() => parseCommand(args), { code: 'USAGE' });
  });
}
