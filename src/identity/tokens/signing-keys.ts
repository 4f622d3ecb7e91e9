/** Derives one signing key for access tokens from each configured secret. */
import { createECDH, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { KeyRing, Secret } from '../../crypto/key-ring.ts'

export type SigningAlgorithm = 'HS256' | 'EdDSA' | 'ES256'

export interface SigningKey {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly publicJwk: Readonly<Record<string, unknown>> | null
}

export function deriveSigningKeys(ring: KeyRing, algorithm: SigningAlgorithm): SigningKey[] {
  return ring.all.map((secret) => {
    if (algorithm === 'HS256') return symmetricKey(secret)
    const privateKey = algorithm === 'EdDSA' ? ed25519Key(secret) : p256Key(secret)
    const publicKey = createPublicKey(privateKey)
    const kid = `${secret.kid}-${algorithm === 'EdDSA' ? 'ed' : 'es'}`
    const publicJwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }
    return { kid, algorithm, privateKey, publicKey, publicJwk }
  })
}

function symmetricKey(secret: Secret): SigningKey {
  const key = createSecretKey(secret.derive('access/hs256', 32))
  return { kid: secret.kid, algorithm: 'HS256', privateKey: key, publicKey: key, publicJwk: null }
}

/** RFC 8410, section 7: an Ed25519 private key is its 32-byte seed in a fixed PKCS#8 wrapper. */
function ed25519Key(secret: Secret): KeyObject {
  const wrapper = Buffer.from('302e020100300506032b657004220420', 'hex')
  const der = Buffer.concat([wrapper, secret.derive('access/eddsa', 32)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** FIPS 186-5, A.2.1: 64 extra bits reduced modulo n - 1, plus 1, make the bias negligible. */
function p256Key(secret: Secret): KeyObject {
  const wide = BigInt(`0x${secret.derive('access/es256', 40).toString('hex')}`)
  const scalar = Buffer.from(((wide % (P256_ORDER - 1n)) + 1n).toString(16).padStart(64, '0'), 'hex')
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(scalar)
  const point = curve.getPublicKey()
  const encode = (bytes: Buffer) => bytes.toString('base64url')
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: encode(scalar),
    x: encode(point.subarray(1, 33)),
    y: encode(point.subarray(33, 65))
  }
  return createPrivateKey({ key: jwk, format: 'jwk' })
}
