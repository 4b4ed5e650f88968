import { MemoryStore } from './memory-store.ts';
import { storeContract } from './store-contract.ts';

storeContract('memory', () => {
  const store = new MemoryStore();
  return { open: () => store, close: () => {} };
});
