/** A pod that has no agent and no identity. It idles; the demo runs probe.ts in it. */
import { serve } from './service.ts';

serve(() => ({ status: 200, body: 'nothing to see here' }));
