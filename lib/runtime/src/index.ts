/** @chainmail/runtime: what every process needs: clock, logger, errors, back-off, lifecycle, agreed names. */
export {
  type AppProbe,
  type AppProbes,
  formatAppProbes,
  type HttpAppProbe,
  type ProbeHeader,
  parseAppProbes,
} from './app-probes.ts';
export { Backoff, type BackoffOptions } from './backoff.ts';
export { type Clock, ManualClock, systemClock, type Timer } from './clock.ts';
export { describeFatal, messageOf, UserError, type UserErrorOptions } from './errors.ts';
export { type CidrRange, parseCidrList, parsePortList } from './exclusions.ts';
export { type Closer, Lifecycle } from './lifecycle.ts';
export { createLogger, type Logger, type LoggerOptions, type LogLevel, silentLogger } from './logger.ts';
export { Passes } from './passes.ts';
export { hasCycle, maxNesting, nestsTooDeep } from './text-nesting.ts';
export * from './well-known.ts';
