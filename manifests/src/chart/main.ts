/** `npm run chart [-- DIR]`: writes the Helm chart into DIR, build/chart by default. What was in it goes. */
import fs from 'node:fs';
import path from 'node:path';
import { chartFiles } from './chart.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const dir = path.resolve(process.argv[2] ?? path.join(root, 'build/chart'));

if (fs.existsSync(dir) && fs.readdirSync(dir).length > 0 && !fs.existsSync(path.join(dir, 'Chart.yaml'))) {
  process.stderr.write(`chart: ${dir} holds something that is no chart; name another folder\n`);
  process.exit(1);
}
fs.rmSync(dir, { recursive: true, force: true });
for (const [name, text] of chartFiles()) {
  fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
  fs.writeFileSync(path.join(dir, name), text);
}
console.log(`${dir}: helm install chainmail ${dir} --namespace chainmail-system --create-namespace`);
