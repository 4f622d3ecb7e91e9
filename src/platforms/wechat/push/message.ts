/** Reads a request of message push: plain, compatible and safe mode, in JSON and in XML.
 *  https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push */
import { createHash } from 'node:crypto'
import type { PushMessage, PushQuery, PushSettings } from '../../port.ts'
import { decryptPush, isPushSignature } from './cipher.ts'
import { parseXml } from './xml.ts'

/** A request is signed at most this long before or after it arrives (milliseconds). */
export const PUSH_WINDOW_MS = 5 * 60_000

const OPEN_ID = /^[A-Za-z0-9_-]{1,128}$/
/** These events end the user's consent: https://developers.weixin.qq.com/miniprogram/dev/framework/security.html */
const REVOKING: ReadonlySet<string> = new Set(['user_authorization_revoke', 'user_authorization_cancellation'])

/** The echostr of a URL check; null when the check is not signed with the token. */
export function checkPushUrl({ token }: PushSettings, query: PushQuery, now: number): string | null {
  const { signature, timestamp, nonce, echostr } = query
  if (signature === undefined || nonce === undefined || echostr === undefined) return null
  if (timestamp === undefined || !isFresh(timestamp, now)) return null
  return isPushSignature(signature, token, timestamp, nonce) ? echostr : null
}

/** Null when WeChat did not sign the message, or not for this app. */
export function readPush(settings: PushSettings, query: PushQuery, body: string, now: number): PushMessage | null {
  const { timestamp, nonce } = query
  if (timestamp === undefined || nonce === undefined || !isFresh(timestamp, now)) return null
  const envelope = parse(body)
  if (envelope === null) return null
  const encrypted = envelope.content.Encrypt
  const isEncrypted = typeof encrypted === 'string' || query.encrypt_type === 'aes'
  const text = isEncrypted ? open(settings, query, encrypted) : isSigned(settings, query) ? body : null
  if (text === null) return null
  const message = isEncrypted ? parse(text) : envelope
  if (message === null) return null
  return { ...describe(message.content, text), ...message, nonce: `${timestamp}.${nonce}`, isEncrypted }
}

/** Outside encryption the signature covers the token and the time, not the body. */
function isSigned({ token }: PushSettings, { signature, timestamp = '', nonce = '' }: PushQuery): boolean {
  return signature !== undefined && isPushSignature(signature, token, timestamp, nonce)
}

function open({ appId, token, encodingAesKey }: PushSettings, query: PushQuery, encrypted: unknown): string | null {
  const { msg_signature: signature, timestamp = '', nonce = '' } = query
  if (encodingAesKey === null || signature === undefined || typeof encrypted !== 'string') return null
  if (!isPushSignature(signature, token, timestamp, nonce, encrypted)) return null
  return decryptPush(encrypted, encodingAesKey, appId)
}

function isFresh(timestamp: string, now: number): boolean {
  return /^\d{1,12}$/.test(timestamp) && Math.abs(Number(timestamp) * 1000 - now) <= PUSH_WINDOW_MS
}

interface Parsed {
  readonly content: Readonly<Record<string, unknown>>
  /** JSON text: of a JSON message the bytes of WeChat, whose numbers may exceed those of JavaScript. */
  readonly json: string
  readonly format: 'json' | 'xml'
}

function parse(text: string): Parsed | null {
  if (!text.trimStart().startsWith('<')) return parseJson(text)
  const content = parseXml(text)
  return content === null ? null : { content, json: JSON.stringify(content), format: 'xml' }
}

function parseJson(text: string): Parsed | null {
  try {
    const content: unknown = JSON.parse(text)
    if (typeof content !== 'object' || content === null || Array.isArray(content)) return null
    return { content: content as Record<string, unknown>, json: text, format: 'json' }
  } catch {
    return null
  }
}

function describe(content: Readonly<Record<string, unknown>>, text: string) {
  const event = textOf(content.Event) ?? textOf(content.MsgType) ?? 'unknown'
  const openId =
    [content.FromUserName, content.OpenID].map(textOf).find((id) => id !== null && OPEN_ID.test(id)) ?? null
  const revoked = REVOKING.has(event) ? (textOf(content.OpenID) ?? openId) : null
  return { key: keyOf(content, event, text), openId, event, revokedOpenId: revoked }
}

/** Equal for every delivery of one message. Two results of one user can share second and kind: the
 *  content tells them apart. */
function keyOf(content: Readonly<Record<string, unknown>>, event: string, text: string): string {
  const messageId = /"MsgId"\s*:\s*"?(\d{1,20})"?|<MsgId>(?:<!\[CDATA\[)?(\d{1,20})/.exec(text)
  if (content.MsgId !== undefined && messageId !== null) return `msg.${messageId[1] ?? messageId[2]}`
  const identity = [content.FromUserName, content.CreateTime, event, text].map(String).join('\n')
  return `event.${createHash('sha256').update(identity).digest('base64url')}`
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
