/** Derives every key of the gateway from `secrets` (HKDF, RFC 5869). */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** One configured secret. Its kid is public: it names the secret in tokens and sealed records
 *  and reveals nothing of it. */
export interface Secret {
  readonly kid: string
  /** Derives a key for one purpose. The same purpose always gives the same bytes. */
  derive(purpose: string, bytes: number): Buffer
}

export interface KeyRing {
  /** Signs and encrypts. */
  readonly current: Secret
  /** Verify and decrypt; includes the current one. */
  readonly all: readonly Secret[]
  find(kid: string): Secret | undefined
}

export function createKeyRing(secrets: readonly string[]): KeyRing {
  const all = secrets.map(createSecret)
  const [current] = all
  if (!current) throw new Error('a key ring needs at least one secret')
  const byKid = new Map(all.map((secret) => [secret.kid, secret]))
  return { current, all, find: (kid) => byKid.get(kid) }
}

function createSecret(text: string): Secret {
  const material = Buffer.from(text, 'utf8')
  const cache = new Map<string, Buffer>()
  const derive = (purpose: string, bytes: number): Buffer => {
    const name = `${purpose}:${bytes}`
    let key = cache.get(name)
    if (!key) {
      key = Buffer.from(hkdfSync('sha256', material, 'wxgate/1', purpose, bytes))
      cache.set(name, key)
    }
    return key
  }
  return { kid: derive('kid', 6).toString('base64url'), derive }
}

/** HMAC-SHA256 as base64url text. */
export function mac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** Compares two texts in constant time; only a difference in length shows. */
export function isEqualText(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}
