/** Against the cluster that main.ts brought up: one file at a time, since they share its node. */
export default {
  files: ['cluster/**/*.test.ts'],
  extensions: ['ts'],
  nodeArguments: ['--no-warnings'],
  timeout: '15m',
  concurrency: 1,
};
