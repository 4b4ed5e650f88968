/** meshctl as a library: the command map, for tests and for tools that embed it. */
export { commands } from './commands.ts';
