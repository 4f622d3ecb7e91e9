/** Signs answers and notices as the pay API does, and encrypts with the key of a merchant. */
import { createCipheriv, type KeyObject, randomBytes, sign } from 'node:crypto'
import { createPlatformKey, type PlatformKey } from './certificate.ts'

/** A signature that no receiver may accept. */
export const SIGNATURE_FAULTS = ['unsigned', 'wrong-signature', 'old', 'unknown-serial', 'probe'] as const
export type SignatureFault = (typeof SIGNATURE_FAULTS)[number]

const OLD_MS = 600_000

export interface PlatformOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Platform {
  /** Headers of a signed answer or notice.
   *  @param wanted `Wechatpay-Serial` of a request: the id of the public key, or another text. */
  headers(body: string, wanted: string, fault: SignatureFault | null): Record<string, string>
  /** All platform certificates, the newest last. */
  certificates(): readonly PlatformKey[]
  /** From here on a new certificate signs; the older ones stay listed. */
  rotate(): void
  publicKey(): { readonly id: string; readonly key: KeyObject }
  clear(): void
}

export function createPlatform({ now }: PlatformOptions): Platform {
  let keys: PlatformKey[] = []
  const publicKeyId = 'PUB_KEY_ID_0100000000000000000000000001'

  /** Made at the first need: a key pair takes a tenth of a second. */
  function all(): readonly [PlatformKey, ...PlatformKey[]] {
    const [first = createPlatformKey(now()), ...others] = keys
    keys = [first, ...others]
    return [first, ...others]
  }

  function newest(): PlatformKey {
    const [first, ...others] = all()
    return others.at(-1) ?? first
  }

  return {
    headers(body, wanted, fault) {
      if (fault === 'unsigned') return {}
      const isPublic = wanted === publicKeyId
      const { privateKey, serial } = isPublic ? all()[0] : newest()
      const timestamp = String(Math.floor((now() - (fault === 'old' ? OLD_MS : 0)) / 1000))
      const nonce = randomBytes(16).toString('hex')
      const text = `${timestamp}\n${nonce}\n${body}${fault === 'wrong-signature' ? ' ' : ''}\n`
      const signature = sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64')
      return {
        'Wechatpay-Timestamp': timestamp,
        'Wechatpay-Nonce': nonce,
        'Wechatpay-Serial': fault === 'unknown-serial' ? `${serial.slice(0, -4)}0000` : isPublic ? publicKeyId : serial,
        'Wechatpay-Signature': fault === 'probe' ? `WECHATPAY/SIGNTEST/${signature.slice(19)}` : signature,
        'Wechatpay-Signature-Type': 'WECHATPAY2-SHA256-RSA2048'
      }
    },
    certificates: all,
    rotate: () => void keys.push(createPlatformKey(now())),
    publicKey: () => ({ id: publicKeyId, key: all()[0].publicKey }),
    clear() {
      keys = []
    }
  }
}

/** AEAD_AES_256_GCM, as in notices and in the list of certificates. */
export function encryptResource(plaintext: string, apiV3Key: string, associatedData: string) {
  const nonce = randomBytes(9).toString('base64url')
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(apiV3Key), Buffer.from(nonce))
  cipher.setAAD(Buffer.from(associatedData))
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  return {
    algorithm: 'AEAD_AES_256_GCM',
    nonce,
    associated_data: associatedData,
    ciphertext: sealed.toString('base64')
  }
}
