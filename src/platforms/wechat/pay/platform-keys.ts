/** Keys that verify signatures of the pay API: configured public keys, and platform certificates,
 *  which are fetched at the first need and kept fresh.
 *  https://pay.weixin.qq.com/doc/v3/merchant/4012551764 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import { ApiError } from '../../../errors.ts'
import type { PayMerchant, PlatformCertificateState } from '../../pay-port.ts'
import { decryptResource } from './resource.ts'

/** WeChat Pay asks for a look at least every 12 hours, and announces a new certificate a day before
 *  its use (milliseconds). */
const REFRESH_AFTER_MS = 10 * 3_600_000
/** Between two fetches; doubled while they bring nothing new. */
const FIRST_PAUSE_MS = 30_000
const LONGEST_PAUSE_MS = 10 * 60_000
const FIRST_FAILURE_PAUSE_MS = 1_000

export interface PlatformKeysOptions {
  /** The answer of `/v3/certificates`. Throws an ApiError. */
  readonly fetchCertificates: (merchant: PayMerchant) => Promise<unknown>
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

export interface PlatformKeys {
  /** Null for a serial that WeChat Pay does not know. Fetches the certificates for one that is
   *  new. */
  find(merchant: PayMerchant, serial: string): Promise<KeyObject | null>
  /** Throws an ApiError when no answer could be verified. */
  prepare(merchant: PayMerchant): Promise<void>
  /** Those that were fetched so far. */
  certificates(merchant: PayMerchant): readonly PlatformCertificateState[]
}

interface PlatformCertificate extends Omit<PlatformCertificateState, 'serial'> {
  readonly key: KeyObject
}

interface Held {
  certificates: ReadonlyMap<string, PlatformCertificate>
  fetchedAt: number
  flight: Promise<void> | null
  error: ApiError | null
  /** No fetch before, on the monotonic clock. */
  notBefore: number
  pauseMs: number
}

export function createPlatformKeys({ fetchCertificates, clock, log }: PlatformKeysOptions): PlatformKeys {
  const configured = new WeakMap<PayMerchant, ReadonlyMap<string, KeyObject>>()
  /** By merchant number: mini-programs of one merchant share them. */
  const held = new Map<string, Held>()

  function configuredKeys(merchant: PayMerchant): ReadonlyMap<string, KeyObject> {
    const known = configured.get(merchant)
    if (known !== undefined) return known
    const keys = new Map(merchant.platformKeys.map(({ serial, publicKey }) => [serial, createPublicKey(publicKey)]))
    configured.set(merchant, keys)
    return keys
  }

  function heldOf({ mchId }: PayMerchant): Held {
    const known = held.get(mchId)
    if (known !== undefined) return known
    const none = { certificates: new Map(), fetchedAt: Number.NEGATIVE_INFINITY, flight: null, error: null }
    const made: Held = { ...none, notBefore: Number.NEGATIVE_INFINITY, pauseMs: 0 }
    held.set(mchId, made)
    return made
  }

  function valid({ certificates }: Held, serial: string): KeyObject | null {
    const certificate = certificates.get(serial)
    const now = clock.now()
    return certificate !== undefined && certificate.from <= now && now < certificate.to ? certificate.key : null
  }

  /** One fetch at a time, and none within the pause after the last one. Never rejects. */
  function refresh(merchant: PayMerchant): Promise<void> {
    const state = heldOf(merchant)
    if (state.flight !== null) return state.flight
    if (clock.monotonic() < state.notBefore) return Promise.resolve()
    state.flight = fetchInto(state, merchant).finally(() => {
      state.flight = null
    })
    return state.flight
  }

  async function fetchInto(state: Held, merchant: PayMerchant): Promise<void> {
    let first = FIRST_PAUSE_MS
    let isNew = false
    try {
      const certificates = readCertificates(await fetchCertificates(merchant), merchant.apiV3Key)
      isNew = [...certificates.keys()].some((serial) => !state.certificates.has(serial))
      Object.assign(state, { certificates, fetchedAt: clock.monotonic(), error: null })
      if (isNew)
        log.info({ mchid: merchant.mchId, serials: [...certificates.keys()] }, 'platform certificates are in use')
    } catch (error) {
      first = FIRST_FAILURE_PAUSE_MS
      state.error = error instanceof ApiError ? error : UNREADABLE
      log.warn({ mchid: merchant.mchId, reason: state.error.detail }, 'the platform certificates could not be fetched')
    }
    state.pauseMs = isNew ? first : Math.min(LONGEST_PAUSE_MS, Math.max(first, state.pauseMs * 2))
    state.notBefore = clock.monotonic() + state.pauseMs
  }

  return {
    async find(merchant, serial) {
      const own = configuredKeys(merchant).get(serial)
      if (own !== undefined) return own
      if (serial.startsWith('PUB_KEY_ID_')) return null
      const state = heldOf(merchant)
      const known = valid(state, serial)
      if (known === null) await refresh(merchant)
      else if (clock.monotonic() - state.fetchedAt > REFRESH_AFTER_MS) void refresh(merchant)
      return known ?? valid(state, serial)
    },

    async prepare(merchant) {
      if (merchant.platformKeys.length > 0) return
      const state = heldOf(merchant)
      const isUsable = () => [...state.certificates.keys()].some((serial) => valid(state, serial) !== null)
      if (!isUsable()) await refresh(merchant)
      if (!isUsable()) throw state.error ?? NONE_VALID
    },

    certificates({ mchId }) {
      const known = held.get(mchId)?.certificates ?? new Map<string, PlatformCertificate>()
      return [...known].map(([serial, { key: _, ...certificate }]) => ({ serial, ...certificate }))
    }
  }
}

const UNREADABLE = new ApiError(
  'wechat_misconfigured',
  'The platform certificates of WeChat Pay do not decrypt: check apps[].pay.apiV3Key.'
)
const NONE_VALID = new ApiError(
  'wechat_misconfigured',
  'No platform certificate of WeChat Pay is valid now: check the clock of the gateway.'
)

/** By serial number in upper case. A certificate that decrypts with the APIv3 key comes from WeChat
 *  Pay. Throws for anything else. */
export function readCertificates(answer: unknown, apiV3Key: string): Map<string, PlatformCertificate> {
  const list = typeof answer === 'object' && answer !== null && 'data' in answer ? answer.data : null
  if (!Array.isArray(list) || list.length === 0) throw UNREADABLE
  return new Map(
    list.map((entry: unknown) => {
      const sealed = typeof entry === 'object' && entry !== null && 'encrypt_certificate' in entry ? entry : null
      const pem = decryptResource(sealed?.encrypt_certificate, apiV3Key)
      if (pem === null) throw UNREADABLE
      const { serialNumber, publicKey, subject, issuer, validFrom, validTo } = new X509Certificate(pem)
      const life = { from: Date.parse(validFrom), to: Date.parse(validTo) }
      return [serialNumber.toUpperCase(), { key: publicKey, subject, issuer, ...life }]
    })
  )
}
