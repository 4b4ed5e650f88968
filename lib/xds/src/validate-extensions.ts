/** The options of protoc-gen-validate, taken from the shared descriptor set. */
export {
  disabled as disabledExtension,
  required as requiredExtension,
  rules as rulesExtension,
} from '../gen/validate/validate_pb.js';
