import { csrSignerContract } from '@chainmail/xds/contracts';
import { createCsrSigner } from '@chainmail/xds/rpc';
import { callCa } from './call-ca.ts';

csrSignerContract((options) => createCsrSigner(options, callCa));
