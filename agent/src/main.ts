/**
 * chainmail-agent: decides what to run and loads only that. Exit codes: 0 done, 1 it could not start or is invalid,
 * 2 the command line is not understood.
 */
import type { Command } from './bootstrap/options.ts';

async function run(command: Command): Promise<number> {
  switch (command.kind) {
    case 'help': {
      const { helpText } = await import('./bootstrap/options.ts');
      process.stdout.write(helpText);
      return 0;
    }
    case 'version': {
      const { agentVersion } = await import('./bootstrap/version.ts');
      process.stdout.write(`${agentVersion}\n`);
      return 0;
    }
    case 'init': {
      const { runInit } = await import('./interception/index.ts');
      return runInit(command.args);
    }
    case 'cleanup': {
      const { runCleanup } = await import('./interception/index.ts');
      return runCleanup(command.args);
    }
    case 'request-certificate': {
      const { runRequestCertificate } = await import('./identity/request-certificate.ts');
      return runRequestCertificate(process.env);
    }
    case 'wait': {
      const { waitUntilReady } = await import('./bootstrap/wait-ready.ts');
      return waitUntilReady();
    }
    case 'serve': {
      const { serve, validateConfig } = await import('./bootstrap/run.ts');
      return command.options.mode === 'validate' ? validateConfig(command.options) : serve(command.options);
    }
    case 'sidecar': {
      const { runSidecar } = await import('./bootstrap/run-sidecar.ts');
      return runSidecar(command.options, process.env);
    }
  }
}

async function main(): Promise<number> {
  const { parseCommand } = await import('./bootstrap/options.ts');
  const { describeFatal, UserError } = await import('@chainmail/runtime');
  try {
    return await run(parseCommand(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`${describeFatal(error)}\n`);
    return error instanceof UserError && error.code === 'USAGE' ? 2 : 1;
  }
}

// A script, which a bundle makes of this, has no await at its top.
void main().then((code) => process.exit(code));
