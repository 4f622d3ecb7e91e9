/** Sends message push to a gateway as WeChat does. */
import { encryptPush, pushSignature } from '../../src/platforms/wechat/push/cipher.ts'
import { writeXml } from '../../src/platforms/wechat/push/xml.ts'

export const PUSH_TOKEN = 'canaryPushToken01'
export const PUSH_KEY = 'canaryEncodingAesKey0123456789abcdefghijklm'

export interface SendOptions {
  readonly mode?: 'plain' | 'compatible' | 'safe'
  readonly format?: 'json' | 'xml'
  readonly token?: string
  readonly key?: string
  /** Milliseconds since the epoch. */
  readonly now?: number
  readonly nonce?: string
  /** The appid inside the encryption. */
  readonly inside?: string
}

let lastNonce = 0

/** Path and body of one request. */
export function pushRequest(appId: string, message: Readonly<Record<string, unknown>>, options: SendOptions = {}) {
  const {
    mode = 'safe',
    format = 'json',
    token = PUSH_TOKEN,
    key = PUSH_KEY,
    now = Date.now(),
    inside = appId
  } = options
  const timestamp = String(Math.floor(now / 1000))
  const nonce = options.nonce ?? String(++lastNonce)
  const write = (content: Readonly<Record<string, unknown>>) =>
    format === 'json' ? JSON.stringify(content) : writeXml('xml', content)
  const query = new URLSearchParams({ signature: pushSignature(token, timestamp, nonce), timestamp, nonce })
  let body = write(message)
  if (mode !== 'plain') {
    const encrypted = encryptPush(body, key, inside)
    query.set('encrypt_type', 'aes')
    query.set('msg_signature', pushSignature(token, timestamp, nonce, encrypted))
    body = write({ ...(mode === 'compatible' ? message : { ToUserName: 'gh_1' }), Encrypt: encrypted })
  }
  return { path: `/wechat/push/${appId}?${query}`, body }
}
