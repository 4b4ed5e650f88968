import { certificateCryptoContract } from '@chainmail/pki/contracts';
import test from 'ava';
import { opensslCrypto } from './openssl-crypto.ts';

certificateCryptoContract(test, opensslCrypto);
