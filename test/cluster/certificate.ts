/** A self-signed certificate, for what is not the mesh's own. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export function selfSigned(names: string): { readonly key: string; readonly cert: string } {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'self-signed-'));
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const out = ['-subj', '/CN=test', '-addext', `subjectAltName=${names}`, '-keyout', 'key', '-out', 'cert'];
  try {
    execFileSync('openssl', [...args, ...out], { cwd: dir, stdio: 'ignore' });
    return { key: fs.readFileSync(`${dir}/key`, 'utf8'), cert: fs.readFileSync(`${dir}/cert`, 'utf8') };
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}
