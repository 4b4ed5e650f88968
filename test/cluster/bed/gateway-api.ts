/** The Gateway API's own definitions, from its Go module, as a user installs them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { goEnvironment } from './binaries.ts';

/** Checked by Go against its checksum database. */
const module = 'sigs.k8s.io/gateway-api@v1.6.3';

/** Where a bed keeps the definition of HTTPRoute. */
export const httpRouteDefinition = (work: string): string => path.join(work, 'gateway-api', 'httproutes.yaml');

/** Copies it into the bed's folder: inside the bed there is no network to get it from. */
export function fetchGatewayApi(work: string): void {
  const told = execFileSync('go', ['mod', 'download', '-json', module], {
    env: goEnvironment,
    cwd: '/',
    encoding: 'utf8',
  });
  const { Dir: dir } = JSON.parse(told) as { readonly Dir: string };
  const target = httpRouteDefinition(work);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(path.join(dir, 'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'), target);
}
