import test from 'ava';
import { describeFatal, messageOf, UserError } from './errors.ts';

test('a user error is shown with code and hint and without a stack, a bug with its stack', (t) => {
  const e = new UserError('PORT_TAKEN', '0.0.0.0:15006 is in use', { hint: 'stop the other process' });
  t.is(describeFatal(e), '0.0.0.0:15006 is in use [PORT_TAKEN]\n  stop the other process');
  t.regex(describeFatal(new Error('bug')), /Error: bug\n\s+at /);
  t.is(describeFatal('text'), 'text');
});

test('messageOf reads whatever was thrown', (t) => {
  t.is(messageOf(new Error('x')), 'x');
  t.is(messageOf(42), '42');
});
