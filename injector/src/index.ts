/** @chainmail/injector: the pure injection that the webhook and `meshctl inject` share. */
export { type Decision, decide } from './decide.ts';
export { type Injection, type InjectionReport, inject } from './inject.ts';
export { type InjectTextOptions, injectText, type PodReport, type TextResult, uninjectText } from './inject-text.ts';
export type { Namespace, Pod } from './pod.ts';
export { type Uninjection, uninject } from './uninject.ts';
export { type AgentValues, defaultValues, parseValues } from './values.ts';
