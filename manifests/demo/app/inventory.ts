/** How many of an item are in stock. `/fail` and `/heal` on the control port make this replica answer 500, or not. */
import { serve } from './service.ts';

const stock: Readonly<Record<string, number>> = { helmet: 3, gauntlet: 12, hauberk: 1, coif: 7 };
const version = process.env['VERSION'] ?? 'v1';
const pod = process.env['HOSTNAME'] ?? '';
let failing = false;
let served = 0;

serve(
  (_request, url) => {
    served++;
    if (failing) return { status: 500, body: { error: 'the shelf collapsed', version, pod } };
    const item = url.pathname.slice('/stock/'.length);
    const count = stock[item];
    if (count === undefined) return { status: 404, body: { error: `no such item: ${item}`, version } };
    return { status: 200, body: { item, stock: count, version, pod } };
  },
  {
    '/fail': () => {
      failing = true;
      return { failing };
    },
    '/heal': () => {
      failing = false;
      return { failing };
    },
    '/served': () => ({ served, failing, version, pod }),
  },
);
