/** @chainmail/xds: Envoy's v3 API as the vocabulary between control plane and agent: parsing, validation, Any. */
export { typeNameOf, type UnpackedAny, unpackAny } from './any.ts';
export { describeProblem, FieldError, type FieldProblem, joinPath } from './field-error.ts';
export { parseEnvoyJson } from './json.ts';
export { holdsDescriptors, releaseDescriptors } from './release-descriptors.ts';
export { validateMessage } from './validate.ts';
