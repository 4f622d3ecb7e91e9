/** Signs and encrypts calls to WeChat for apps with API signatures, and verifies and decrypts the
 *  answers. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { ApiError } from '../../../errors.ts'
import type { ApiSignatureSettings, PlatformApp } from '../../port.ts'
import { withAccessToken } from '../egress-paths.ts'
import { readErrcode } from '../errcodes.ts'
import { TransportFailure } from '../send-once.ts'
import {
  type Binding,
  decryptBody,
  encryptBody,
  IV_BYTES,
  isSignedBody,
  type SymmetricKey,
  signBody
} from './envelope.ts'
import { isSignedCall } from './paths.ts'

/** By WeChat's documentation, an answer is older or newer than this by a fault or a replay
 *  (milliseconds). */
const MAX_SKEW_MS = 300_000
/** Members that the signature adds to the call and to its answer. */
const ADDED = ['_n', '_appid', '_timestamp'] as const
const ADDED_FIRST = /^\{"_n":"[^"\\]*","_appid":"[^"\\]*","_timestamp":\d+,?/

const NOT_JSON = new ApiError(
  'invalid_request',
  'The mini-program uses API signatures: send a JSON object as the body.'
)
const RESERVED = new ApiError('invalid_request', 'The body has a member of API signatures: _n, _appid or _timestamp.')

type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

export interface SealedCall {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** The plain answer. Throws a TransportFailure for one that WeChat did not sign for this call;
   *  a refusal may come unsigned.
   *  @param headers By name in lower case. */
  open(headers: AnswerHeaders, body: Buffer): Buffer
}

export interface Signer {
  /** Null for a call that goes as it is. Every attempt needs a new seal.
   *  @param query Travels inside the body, without access_token. May include its `?`.
   *  @param body JSON; null for none. */
  seal(
    app: PlatformApp,
    call: { readonly method: string; readonly path: string },
    query: string,
    body: Buffer | string | null
  ): SealedCall | null
}

interface Keys extends SymmetricKey {
  readonly privateKey: KeyObject
  readonly platformKeys: ReadonlyMap<string, KeyObject>
}

export function createSigner({ now }: { readonly now: () => number }): Signer {
  const known = new WeakMap<ApiSignatureSettings, Keys>()

  function keysOf(settings: ApiSignatureSettings): Keys {
    const keys = known.get(settings) ?? readKeys(settings)
    known.set(settings, keys)
    return keys
  }

  return {
    seal({ appId, apiSignature }, { method, path }, query, body) {
      if (!apiSignature || !isSignedCall(method, path)) return null
      const keys = keysOf(apiSignature)
      const timestamp = String(Math.floor(now() / 1000))
      const binding = { path, appId, timestamp }
      const text = plainText(
        parametersOf(query),
        body?.toString() ?? '',
        { _n: randomBytes(16).toString('base64url'), _appid: appId },
        timestamp
      )
      const sealed = encryptBody(text, keys, binding, randomBytes(IV_BYTES))
      return {
        body: sealed,
        headers: {
          'content-type': 'application/json',
          'wechatmp-appid': appId,
          'wechatmp-timestamp': timestamp,
          'wechatmp-signature': signBody(Buffer.from(sealed), binding, keys.privateKey)
        },
        open: (headers, answer) => openAnswer({ path, appId, keys, now: now() }, headers, answer)
      }
    }
  }
}

/** The members of the body stay as they were written: a number may exceed the range of a double. */
function plainText(query: URLSearchParams, body: string, added: object, timestamp: string): string {
  const written = body.trim() || '{}'
  const members = parseObject(written)
  if (members === null) throw NOT_JSON
  if (ADDED.some((name) => Object.hasOwn(members, name) || query.has(name))) throw RESERVED
  const parameters = Object.fromEntries([...query].filter(([name]) => !Object.hasOwn(members, name)))
  const first = JSON.stringify({ ...added, _timestamp: Number(timestamp), ...parameters })
  const rest = written.slice(1, -1).trim()
  return rest === '' ? first : `${first.slice(0, -1)},${rest}}`
}

/** Without the caller's access_token, in any spelling. */
function parametersOf(query: string): URLSearchParams {
  const parameters = new URLSearchParams(withAccessToken(query.startsWith('?') ? query : `?${query}`, ''))
  parameters.delete('access_token')
  return parameters
}

interface Opening {
  readonly path: string
  readonly appId: string
  readonly keys: Keys
  readonly now: number
}

function openAnswer({ path, appId, keys, now }: Opening, headers: AnswerHeaders, answer: Buffer): Buffer {
  const timestamp = headerOf(headers, 'wechatmp-timestamp')
  if (headerOf(headers, 'wechatmp-signature') === '') {
    if (isRefusal(answer)) return answer
    throw new TransportFailure('the answer is not signed', true)
  }
  const binding: Binding = { path, appId, timestamp }
  const isFresh = /^\d{1,12}$/.test(timestamp) && Math.abs(now - Number(timestamp) * 1000) <= MAX_SKEW_MS
  if (headerOf(headers, 'wechatmp-appid') !== appId || !isFresh || !isSigned(keys, headers, answer, binding))
    throw new TransportFailure('the signature of the answer is wrong', true)
  const text = decryptBody(answer.toString('utf8'), keys, binding)
  const members = text === null ? null : parseObject(text)
  if (text === null || members === null || members._appid !== appId || String(members._timestamp) !== timestamp)
    throw new TransportFailure('the answer cannot be decrypted', true)
  return Buffer.from(text.replace(ADDED_FIRST, '{'))
}

/** While WeChat changes its key, an answer has the signature of the old one as well. */
function isSigned({ platformKeys }: Keys, headers: AnswerHeaders, answer: Buffer, binding: Binding): boolean {
  return ['', '-deprecated'].some((suffix) => {
    const key = platformKeys.get(headerOf(headers, `wechatmp-serial${suffix}`))
    const signature = headerOf(headers, `wechatmp-signature${suffix}`)
    return key !== undefined && signature !== '' && isSignedBody(answer, binding, signature, key)
  })
}

/** WeChat cannot encrypt an answer about a wrong key or signature. */
function isRefusal(answer: Buffer): boolean {
  const members = parseObject(answer.toString('utf8'))
  const errcode = members === null ? Number.NaN : readErrcode(members)
  return !Number.isNaN(errcode) && errcode !== 0
}

function readKeys({ symmetricKey, symmetricKeySn, privateKey, platformKeys }: ApiSignatureSettings): Keys {
  return {
    key: Buffer.from(symmetricKey, 'base64'),
    sn: symmetricKeySn,
    privateKey: createPrivateKey(privateKey),
    platformKeys: new Map(platformKeys.map(({ serial, publicKey }) => [serial, createPublicKey(publicKey)]))
  }
}

function headerOf(headers: AnswerHeaders, name: string): string {
  const value = headers[name]
  return typeof value === 'string' ? value : ''
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}
