import { createCaSigner } from './ca-signer.ts';
import { csrSignerContract } from './csr-signer-contract.ts';

csrSignerContract(createCaSigner);
