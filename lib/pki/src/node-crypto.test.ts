import test from 'ava';
import { certificateCryptoContract } from './certificate-crypto-contract.ts';
import { nodeCrypto } from './node-crypto.ts';

certificateCryptoContract(test, nodeCrypto);
