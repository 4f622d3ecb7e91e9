/** API signatures (服务端 API 签名加密): the sandbox demands them of the apps that have keys here, and
 *  signs and encrypts its answers. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  decryptBody,
  encryptBody,
  IV_BYTES,
  isSignedBody,
  type SymmetricKey,
  signBody
} from '../platforms/wechat/api-signature/envelope.ts'
import { isSignedCall } from '../platforms/wechat/api-signature/paths.ts'
import type { Answer } from './answers.ts'
import type { SandboxRequest } from './request.ts'

const MAX_SKEW_MS = 300_000
const SERIAL = 'sandboxplatform1'

export interface AppKeys {
  readonly appId: string
  /** 32 bytes in Base64. */
  readonly symmetricKey: string
  readonly symmetricKeySn: string
  /** PEM. */
  readonly publicKey: string
}

export interface PlatformKey {
  readonly serial: string
  readonly publicKey: string
}

export interface ApiSignatures {
  /** Returns the key that verifies the answers; null for keys that cannot be used. */
  demand(keys: AppKeys): PlatformKey | null
  /** The call as the app wrote it, the errcode for a bad signature, or null for a call that needs
   *  none. */
  open(request: SandboxRequest, appId: string): SandboxRequest | number | null
  seal(answer: Answer, path: string, appId: string): Answer
  clear(): void
}

interface Keys extends SymmetricKey {
  readonly publicKey: KeyObject
}

export function createApiSignatures({ now }: { readonly now: () => number }): ApiSignatures {
  const apps = new Map<string, Keys>()
  let platform: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | null = null

  function platformKeys() {
    platform ??= generateKeyPairSync('rsa', { modulusLength: 2048 })
    return platform
  }

  return {
    demand({ appId, symmetricKey, symmetricKeySn: sn, publicKey }) {
      const key = Buffer.from(symmetricKey, 'base64')
      try {
        if (key.length !== 32) return null
        apps.set(appId, { key, sn, publicKey: createPublicKey(publicKey) })
      } catch {
        return null
      }
      return { serial: SERIAL, publicKey: platformKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString() }
    },

    open(request, appId) {
      const keys = apps.get(appId)
      if (keys === undefined || !isSignedCall(request.method, request.path)) return null
      const { 'wechatmp-timestamp': timestamp = '', 'wechatmp-signature': signature = '' } = request.wechatmp
      if (timestamp === '') return 40231
      if (signature === '') return 40232
      const named = request.wechatmp['wechatmp-appid'] ?? ''
      if (named === '') return 40233
      if (named !== appId) return 40237
      if (!(Math.abs(now() - Number(timestamp) * 1000) <= MAX_SKEW_MS)) return 40240
      const binding = { path: request.path, appId, timestamp }
      // WeChat refuses a request that names the serial number of its key.
      const hasSerial = request.wechatmp['wechatmp-serial'] !== undefined
      if (hasSerial || !isSignedBody(Buffer.from(request.text), binding, signature, keys.publicKey)) return 40234
      const text = decryptBody(request.text, keys, binding)
      return text === null ? 40235 : plainRequest(request, text, appId)
    },

    seal(answer, path, appId) {
      const keys = apps.get(appId)
      if (keys === undefined) return answer
      const timestamp = String(Math.floor(now() / 1000))
      const binding = { path, appId, timestamp }
      const added = { _n: randomBytes(16).toString('base64url'), _appid: appId, _timestamp: Number(timestamp) }
      const members: object = JSON.parse(answer.body.toString())
      const body = encryptBody(JSON.stringify({ ...added, ...members }), keys, binding, randomBytes(IV_BYTES))
      const headers = {
        'Wechatmp-Appid': appId,
        'Wechatmp-TimeStamp': timestamp,
        'Wechatmp-Serial': SERIAL,
        'Wechatmp-Signature': signBody(Buffer.from(body), binding, platformKeys().privateKey)
      }
      return { ...answer, body, headers: { ...answer.headers, ...headers } }
    },

    clear: () => apps.clear()
  }
}

/** Parameters of the query and members of the body travel in one object. */
function plainRequest(request: SandboxRequest, text: string, appId: string): SandboxRequest | number {
  const { _n, _appid, _timestamp, ...json } = JSON.parse(text) as Record<string, unknown>
  if (_appid !== appId || typeof _n !== 'string' || typeof _timestamp !== 'number') return 40236
  const query = new URLSearchParams(request.query)
  for (const [name, value] of Object.entries(json)) if (typeof value === 'string') query.set(name, value)
  return { ...request, query, json, text: JSON.stringify(json) }
}
