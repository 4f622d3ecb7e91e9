/** Tokens that no gateway would issue, signed with its own keys, and the verdict of jose on
 *  them. */
import { createHmac, type KeyObject, sign as signBytes } from 'node:crypto'
import { jwtVerify } from 'jose'
import type { Clock } from '../../src/clock.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSealer } from '../../src/crypto/sealer.ts'
import { deriveSigningKeys, type SigningAlgorithm, type SigningKey } from '../../src/identity/tokens/signing-keys.ts'
import { APPID, SECRET } from './gateway.ts'

export const ALGORITHMS = ['HS256', 'EdDSA', 'ES256'] as const
export type Members = Record<string, unknown>

export interface Mint {
  readonly algorithm: SigningAlgorithm
  readonly key: SigningKey
  /** The header that the gateway writes. */
  readonly header: Members
  payload(changes?: Members): Members
  /** A member that is undefined is left out. */
  token(payload?: Members, header?: Members): string
  /** Both segments as text, for texts that JSON.stringify would not write. */
  tokenOf(payload: string, header?: string): string
  /** The signature of the gateway's key over `text`. */
  signature(text: string): string
}

export const encode = (value: string | Buffer | object): string =>
  (typeof value === 'string' || Buffer.isBuffer(value)
    ? Buffer.from(value as string)
    : Buffer.from(JSON.stringify(value))
  ).toString('base64url')

export const hmacToken = (header: Members, payload: Members, key: Buffer | string | KeyObject, hash = 'sha256') => {
  const text = `${encode(header)}.${encode(payload)}`
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`
}

export function createMint(algorithm: SigningAlgorithm, clock: Clock, secret = SECRET): Mint {
  const ring = createKeyRing([secret])
  const [key] = deriveSigningKeys(ring, algorithm)
  if (!key) throw new Error('no key')
  const sealer = createSealer(ring, 'openid', { deterministic: true })
  const header = { alg: algorithm, typ: 'at+jwt', kid: key.kid }

  function signature(text: string): string {
    const bytes = Buffer.from(text)
    if (algorithm === 'HS256')
      return createHmac('sha256', key?.privateKey as KeyObject)
        .update(bytes)
        .digest('base64url')
    const options = { key: key?.privateKey as KeyObject, dsaEncoding: 'ieee-p1363' as const }
    return signBytes(algorithm === 'ES256' ? 'sha256' : null, bytes, options).toString('base64url')
  }

  const mint: Mint = {
    algorithm,
    key,
    header,
    payload(changes = {}) {
      const now = Math.floor(clock.now() / 1000)
      const sid = 'session-0123456789abcd'
      return {
        iss: 'wxgate',
        aud: APPID,
        sub: 'u_0123456789abcdefghij',
        sid,
        iat: now,
        exp: now + 7200,
        epoch: 0,
        status: 'anonymous',
        oid: sealer.seal('oMintedOpenId-000000000000001\n', `${APPID}:${sid}`),
        ...changes
      }
    },
    token: (payload = {}, changes = {}) =>
      mint.tokenOf(JSON.stringify(mint.payload(payload)), JSON.stringify({ ...header, ...changes })),
    tokenOf(payload, head = JSON.stringify(header)) {
      const text = `${encode(head)}.${encode(payload)}`
      return `${text}.${signature(text)}`
    },
    signature
  }
  return mint
}

/** True when jose accepts the token under the same rules: one key, one algorithm, type, issuer,
 *  audience, claims, age. */
export async function joseAccepts(mint: Mint, token: string, clock: Clock): Promise<boolean> {
  try {
    await jwtVerify(token, mint.key.publicKey, {
      algorithms: [mint.algorithm],
      typ: 'at+jwt',
      issuer: 'wxgate',
      audience: APPID,
      requiredClaims: ['iss', 'aud', 'sub', 'sid', 'iat', 'exp', 'epoch', 'status'],
      maxTokenAge: 7200,
      clockTolerance: 5,
      currentDate: new Date(clock.now())
    })
    return true
  } catch {
    return false
  }
}
