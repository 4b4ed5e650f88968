/** Tests that fail in every way a test file can: what the runner's own tests run. */
export default {
  files: ['runner/cases/*.case.ts'],
  extensions: ['ts'],
  nodeArguments: ['--no-warnings'],
  timeout: '1m',
};
