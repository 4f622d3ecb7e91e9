/** Encrypts short texts (AES-256-GCM, NIST SP 800-38D) under the key ring. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import type { KeyRing, Secret } from './key-ring.ts'

const IV_BYTES = 12
const TAG_BYTES = 16

export interface Opened {
  readonly text: string
  /** False when sealed under an older secret: seal again at the next write. */
  readonly isCurrent: boolean
}

/** Seals under the current secret and opens under any of the ring. The context (AAD) must be
 *  the same both times: it binds the sealed text to its record. */
export interface Sealer {
  seal(text: string, context: string): string
  /** Null when the text was changed, belongs to another context, or its secret was removed.
   *  Never throws. */
  open(sealed: string, context: string): Opened | null
}

/** A random IV gives another text each time. With `deterministic` the IV is a MAC of context
 *  and text: equal input gives equal output, and no IV serves two texts. */
export function createSealer(ring: KeyRing, purpose: string, options: { deterministic?: boolean } = {}): Sealer {
  const keyOf = (secret: Secret) => secret.derive(`${purpose}/seal`, 32)
  const ivOf = (secret: Secret, text: string, context: string) =>
    options.deterministic
      ? createHmac('sha256', secret.derive(`${purpose}/iv`, 32))
          .update(`${context.length}:${context}${text}`)
          .digest()
          .subarray(0, IV_BYTES)
      : randomBytes(IV_BYTES)

  return {
    seal(text, context) {
      const secret = ring.current
      const iv = ivOf(secret, text, context)
      const cipher = createCipheriv('aes-256-gcm', keyOf(secret), iv)
      cipher.setAAD(Buffer.from(context))
      const body = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${secret.kid}.${body.toString('base64url')}`
    },

    open(sealed, context) {
      const dot = sealed.indexOf('.')
      if (dot < 0) return null
      const secret = ring.find(sealed.slice(0, dot))
      if (!secret) return null
      const body = Buffer.from(sealed.slice(dot + 1), 'base64url')
      if (body.length < IV_BYTES + TAG_BYTES) return null
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), body.subarray(0, IV_BYTES))
        decipher.setAAD(Buffer.from(context))
        decipher.setAuthTag(body.subarray(body.length - TAG_BYTES))
        const text = decipher.update(body.subarray(IV_BYTES, body.length - TAG_BYTES), undefined, 'utf8')
        return { text: text + decipher.final('utf8'), isCurrent: secret === ring.current }
      } catch {
        return null
      }
    }
  }
}
