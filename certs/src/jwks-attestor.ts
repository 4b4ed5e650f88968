/** Attests tokens by the public keys of their issuer, read from a file that may change at any time. */
import fs from 'node:fs/promises';
import { type Clock, tokenAudience } from '@chainmail/runtime';
import type { Attestation, Attestor } from './attestor.ts';
import { parseJwks, type VerificationKey, verifyJwt } from './jwt.ts';
import { livePodProblem } from './live-pods.ts';
import { attestClaims } from './service-account-claims.ts';

export interface JwksAttestorOptions {
  readonly jwksPath: string;
  readonly issuer: string;
  /** Folder with the live objects, one file each; absent skips the check that the pod is live. */
  readonly podsDir?: string;
  readonly clock: Clock;
}

export class JwksAttestor implements Attestor {
  readonly #options: JwksAttestorOptions;
  #version = '';
  #keys: readonly VerificationKey[] = [];

  constructor(options: JwksAttestorOptions) {
    this.#options = options;
  }

  /** Reads the keys again if the file changed. Rejects, and forgets the old keys, when it cannot be used. */
  async #currentKeys(): Promise<readonly VerificationKey[]> {
    const { jwksPath } = this.#options;
    try {
      const { ino, size, mtimeMs } = await fs.stat(jwksPath);
      const version = `${ino} ${size} ${mtimeMs}`;
      if (version !== this.#version) this.#keys = parseJwks(await fs.readFile(jwksPath, 'utf8'), jwksPath);
      this.#version = version;
      return this.#keys;
    } catch (error) {
      this.#version = '';
      this.#keys = [];
      throw error;
    }
  }

  async attest(token: string): Promise<Attestation> {
    const { issuer, podsDir, clock } = this.#options;
    const result = verifyJwt(token, await this.#currentKeys());
    if (!result.ok) return { ok: false, code: 'unauthenticated', reason: result.reason };
    const attested = attestClaims(result.claims, { issuer, audience: tokenAudience, nowMs: clock.now() });
    if (!attested.ok || podsDir === undefined) return attested;
    const reason = await livePodProblem(podsDir, attested.caller);
    return reason === undefined ? attested : { ok: false, code: 'not-live', reason };
  }
}
