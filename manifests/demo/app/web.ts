/** The shop's front: shows the catalog; `/admin/add` tries to POST to it, which the policy forbids. */
import { call, serve } from './service.ts';

const catalog = process.env['CATALOG_URL'] ?? 'http://catalog:8080';

serve(async (_request, url) => {
  switch (url.pathname) {
    case '/': {
      const answer = await call(`${catalog}/items`);
      return { status: answer.status === 200 ? 200 : 502, body: { shop: 'Chainmail & Sons', catalog: answer.body } };
    }
    case '/admin/add': {
      const answer = await call(`${catalog}/items`, 'POST');
      return { status: 200, body: { catalogSaid: answer.status, body: answer.body } };
    }
    default:
      return { status: 404, body: { error: 'not found' } };
  }
});
