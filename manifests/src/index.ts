/** @chainmail/manifests: the objects of an installation, rendered from typed values. */
export { customResourceDefinitions } from './crds/crd.ts';
export { type InstallObject, objectName, ownedSelector, type Part, partLabel } from './install/object.ts';
export { type ProgramName, programNames, webhookConfiguration } from './install/programs.ts';
export { injectorSettings, installRecord, renderInstall } from './install/render.ts';
export { parseSet } from './install/set-flags.ts';
export {
  defaultInstallValues,
  type InstallValues,
  imageOf,
  installValues,
  mergeValues,
  meshVersion,
  valuesSchema,
} from './install/values.ts';
