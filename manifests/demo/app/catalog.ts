/** What the shop sells, with the stock that inventory knows. POST adds an item: the mesh lets nobody do that here. */
import { call, serve } from './service.ts';

const inventory = process.env['INVENTORY_URL'] ?? 'http://inventory:8080';
const items = ['helmet', 'gauntlet', 'hauberk', 'coif'];

serve(async (request, url) => {
  if (url.pathname !== '/items') return { status: 404, body: { error: 'not found' } };
  if (request.method === 'POST') return { status: 201, body: { added: true } };
  const wanted = items[Math.floor(Math.random() * items.length)] ?? 'helmet';
  const answer = await call(`${inventory}/stock/${wanted}`);
  if (answer.status !== 200) return { status: 502, body: { error: 'inventory failed', status: answer.status } };
  return { status: 200, body: { items, sample: answer.body } };
});
