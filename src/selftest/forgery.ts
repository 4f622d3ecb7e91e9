/** JSON Web Tokens made without the gateway's key. */
import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'

export type Members = Readonly<Record<string, unknown>>

const encode = (value: string | Buffer): string => Buffer.from(value as string).toString('base64url')

/** Header and payload as JSON text or as what becomes JSON, and a signature as it is. */
export function token(header: Members | string, payload: unknown, signature = ''): string {
  return `${segment(header)}.${segment(payload)}.${signature}`
}

export function hmacToken(header: Members, payload: unknown, key: string | Buffer): string {
  const text = `${segment(header)}.${segment(payload)}`
  const hash = { HS384: 'sha384', HS512: 'sha512' }[String(header.alg)] ?? 'sha256'
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`
}

/** Signed with a key that nobody was told about. */
export function strangersToken(header: Members, payload: unknown): string {
  const text = `${segment(header)}.${segment(payload)}`
  const { algorithm, privateKey } = header.alg === 'EdDSA' ? stranger.ed : stranger.ec
  const signature = signBytes(algorithm, Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** The stranger's public key as a JWK. */
export function strangersKey(): Members {
  return stranger.ec.publicKey.export({ format: 'jwk' }) as Members
}

const stranger = {
  ec: { algorithm: 'sha256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  ed: { algorithm: null, ...generateKeyPairSync('ed25519') }
} satisfies Record<string, { algorithm: string | null; privateKey: KeyObject; publicKey: KeyObject }>

/** PEM, for where the target publishes no key of its own. */
export const STRANGERS_PEM = stranger.ec.publicKey.export({ format: 'pem', type: 'spki' }).toString()

/** What a token says, as far as it can be read; a likely content where it cannot. */
export function contentOf(real: string): { header: Members; payload: Members } {
  const [header = '', payload = ''] = real.split('.')
  const now = Math.floor(Date.now() / 1000)
  const likely = {
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
    payload: read(payload) ?? likely
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
  return encode(typeof value === 'string' ? value : JSON.stringify(value))
}
