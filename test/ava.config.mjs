/** Whole components in network namespaces: one file at a time, since they share the machine. */
export default {
  files: ['e2e/**/*.test.ts'],
  extensions: ['ts'],
  nodeArguments: ['--no-warnings'],
  timeout: '5m',
  concurrency: 1,
  serial: true,
};
