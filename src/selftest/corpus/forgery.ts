/** JSON Web Tokens made without the gateway's key. */
import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'

export type Members = Readonly<Record<string, unknown>>

/** Key pairs that the gateway does not know. */
export interface Strangers {
  readonly ec: KeyPair
  readonly ed: KeyPair
}

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export function createStrangers(): Strangers {
  return { ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }), ed: generateKeyPairSync('ed25519') }
}

export function toPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'spki' }).toString()
}

/** Header and payload as JSON text or as values to serialise; the signature as it is. */
export function token(header: Members | string, payload: unknown, signature = ''): string {
  return `${segment(header)}.${segment(payload)}.${signature}`
}

export function hmacToken(header: Members, payload: unknown, key: string | Buffer): string {
  const text = `${segment(header)}.${segment(payload)}`
  const hash = { HS384: 'sha384', HS512: 'sha512' }[String(header.alg)] ?? 'sha256'
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`
}

/** Signed with an unknown key: Ed25519 for `alg` EdDSA, P-256 for any other. */
export function strangersToken(header: Members, payload: unknown, { ec, ed }: Strangers): string {
  const text = `${segment(header)}.${segment(payload)}`
  const [algorithm, { privateKey }] = header.alg === 'EdDSA' ? [null, ed] : ['sha256', ec]
  const signature = signBytes(algorithm, Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** Header and payload of a token; plausible ones when they cannot be read. */
export function contentOf(real: string): { header: Members; payload: Members } {
  const [header = '', payload = ''] = real.split('.')
  const now = Math.floor(Date.now() / 1000)
  const plausible = {
    iss: 'wxgate',
    aud: 'wx1234567890abcdef',
    sub: 'u_0123456789abcdefghij',
    sid: 's_0123456789abcdefghij',
    iat: now,
    exp: now + 3600,
    epoch: 0,
    status: 'anonymous',
    openid: 'oForgedForgedForgedForged001'
  }
  return {
    header: read(header) ?? { alg: 'HS256', typ: 'at+jwt', kid: '1' },
    payload: read(payload) ?? plausible
  }
}

function read(text: string): Members | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
  } catch {
    return null
  }
}

function segment(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}
