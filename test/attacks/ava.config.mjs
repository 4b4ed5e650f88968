/** Attacks on the real processes, on loopback. */
export default {
  files: ['attacks/**/*.test.ts'],
  extensions: ['ts'],
  nodeArguments: ['--no-warnings'],
  timeout: '2m',
  concurrency: 2,
};
