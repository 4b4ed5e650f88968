/** @chainmail/kube: the objects we read, from files or an API server. */
export {
  type FileProblem,
  type Loaded,
  type LoadedObject,
  type Origin,
  parseObjects,
  readObjects,
  type Watch,
  watchObjects,
} from './files.ts';
export { type KubeObject, type ObjectMeta, objectKey } from './object.ts';
