/** Unit and contract tests: beside the code. The suites in namespaces have a configuration of their own in test/. */
export default {
  files: [
    '{agent,control,injector,certs,cli,manifests,images,lib/*}/src/**/*.test.ts',
    'scripts/**/*.test.ts',
    'test/{bench,demo,runner}/**/*.test.ts',
  ],
  extensions: ['ts'],
  nodeArguments: ['--no-warnings'],
  timeout: '2m',
};
