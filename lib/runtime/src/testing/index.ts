/** For the tests of every package. */
export { freePort, freePorts } from './free-ports.ts';
export { numbers } from './numbers.ts';
