/** Merchants of the sandbox: their keys, and the check of their signatures. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, verify } from 'node:crypto'
import { createBoundedMap } from '../bounded-map.ts'
import type { SandboxRequest } from '../request.ts'

export interface SandboxMerchant {
  readonly mchid: string
  /** Serial number of the merchant certificate. */
  readonly serialNo: string
  /** In PEM. */
  readonly publicKey: string
  readonly apiV3Key: string
}

interface Known extends SandboxMerchant {
  readonly key: KeyObject
}

export interface Merchants {
  /** Replaces the keys of a known one. Throws for a key that cannot be read. */
  register(merchant: SandboxMerchant): void
  find(mchid: string): SandboxMerchant | null
  /** The merchant that signed the request; null for any other request. */
  authenticate(request: SandboxRequest): SandboxMerchant | null
  clear(): void
}

const WINDOW_MS = 300_000
const MEMBERS = /^WECHATPAY2-SHA256-RSA2048 (.*)$/

export function createMerchants(now: () => number, first: Iterable<SandboxMerchant>): Merchants {
  const merchants = createBoundedMap<string, Known>(1000)

  function register(merchant: SandboxMerchant): void {
    merchants.set(merchant.mchid, { ...merchant, key: createPublicKey(merchant.publicKey) })
  }

  for (const merchant of first) register(merchant)

  return {
    register,
    find: (mchid) => merchants.get(mchid) ?? null,

    authenticate({ method, target, authorization, text }) {
      const list = MEMBERS.exec(authorization)?.[1] ?? ''
      const members = new Map([...list.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value ?? '']))
      const read = (name: string) => members.get(name) ?? ''
      const merchant = merchants.get(read('mchid'))
      const timestamp = read('timestamp')
      if (merchant === undefined || read('serial_no').toUpperCase() !== merchant.serialNo.toUpperCase()) return null
      if (!/^\d{1,12}$/.test(timestamp) || Math.abs(Number(timestamp) * 1000 - now()) > WINDOW_MS) return null
      const signed = `${method}\n${target}\n${timestamp}\n${read('nonce_str')}\n${text}\n`
      const signature = Buffer.from(read('signature'), 'base64')
      return verify('RSA-SHA256', Buffer.from(signed), merchant.key, signature) ? merchant : null
    },

    clear: () => merchants.clear()
  }
}

/** A merchant as configured. The sandbox takes the public half of its key. */
export function merchantOf(pay: {
  readonly mchId: string
  readonly serialNo: string
  readonly privateKey: string
  readonly apiV3Key: string
}): SandboxMerchant {
  const { mchId: mchid, serialNo, apiV3Key } = pay
  const publicKey = createPublicKey(pay.privateKey).export({ type: 'spki', format: 'pem' }).toString()
  return { mchid, serialNo, publicKey, apiV3Key }
}

/** Keys for a merchant that has none yet. */
export function generateMerchant(mchid: string): SandboxMerchant & { readonly privateKey: string } {
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const serialNo = `5D${randomBytes(19).toString('hex').toUpperCase()}`
  return { mchid, serialNo, apiV3Key: randomBytes(16).toString('hex'), ...keys }
}
