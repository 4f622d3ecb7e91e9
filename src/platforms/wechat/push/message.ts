/** Reads a request of message push: plain, compatible and safe mode, in JSON and in XML.
 *  https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push */
import { createHash } from 'node:crypto'
import type { PushCheck, PushQuery, PushReading, PushRefusal, PushSettings } from '../../port.ts'
import { decryptPush, isPushSignature } from './cipher.ts'
import { parseXml } from './xml.ts'

/** A request is signed at most this long before or after it arrives (milliseconds). */
export const PUSH_WINDOW_MS = 5 * 60_000

const OPEN_ID = /^[A-Za-z0-9_-]{1,128}$/
/** These events end the user's consent:
 *  https://developers.weixin.qq.com/miniprogram/dev/framework/security.html */
const REVOKING: ReadonlySet<string> = new Set(['user_authorization_revoke', 'user_authorization_cancellation'])

/** Null when the check is not signed with the token. */
export function checkPushUrl({ token }: PushSettings, query: PushQuery, now: number): PushCheck | null {
  const { signature, timestamp, nonce, echostr } = query
  if (signature === undefined || nonce === undefined || echostr === undefined) return null
  if (timestamp === undefined || !isFresh(timestamp, now)) return null
  if (!isPushSignature(signature, token, timestamp, nonce)) return null
  return { echo: echostr, nonce: nonceOf({ timestamp, nonce }) }
}

/** A message that announces no encryption comes in plain mode, with or without an EncodingAESKey:
 *  the console always has a key, and its mode can change at any time. */
export function readPush(settings: PushSettings, query: PushQuery, body: string, now: number): PushReading {
  const { timestamp, nonce } = query
  if (timestamp === undefined || nonce === undefined || !isFresh(timestamp, now)) return refused('timestamp')
  const signed: Signed = { ...query, timestamp, nonce }
  const isPlain = query.encrypt_type === undefined && query.msg_signature === undefined
  return isPlain || settings.encodingAesKey === null
    ? readPlain(settings, signed, body)
    : readEncrypted(settings, settings.encodingAesKey, signed, body)
}

type Signed = PushQuery & { readonly timestamp: string; readonly nonce: string }

const refused = (refusal: PushRefusal): PushReading => ({ refusal })

/** The signature covers the token and the time, not the body. */
function readPlain({ token }: PushSettings, query: Signed, body: string): PushReading {
  const { signature, timestamp, nonce } = query
  if (query.encrypt_type === 'aes') return refused('encrypted')
  if (signature === undefined || !isPushSignature(signature, token, timestamp, nonce)) return refused('signature')
  const parsed = parse(body)
  if (parsed === null) return refused('format')
  return parsed.content.Encrypt === undefined ? reading(parsed, body, query, false) : refused('encrypted')
}

/** The plain members of compatible mode are not read: no signature covers them. */
function readEncrypted({ appId, token }: PushSettings, key: string, query: Signed, body: string): PushReading {
  const { msg_signature: signature, timestamp, nonce } = query
  if (signature === undefined) return refused('plain')
  const encrypted = parse(body)?.content.Encrypt
  if (typeof encrypted !== 'string') return refused('format')
  if (!isPushSignature(signature, token, timestamp, nonce, encrypted)) return refused('signature')
  const text = decryptPush(encrypted, key, appId)
  if (text === null) return refused('encryption')
  const parsed = parse(text)
  return parsed === null ? refused('format') : reading(parsed, text, query, true)
}

function reading(parsed: Parsed, text: string, query: Signed, isEncrypted: boolean): PushReading {
  const { json, format } = parsed
  return {
    refusal: null,
    message: { ...describe(parsed, text), json, format, nonce: nonceOf(query), isEncrypted }
  }
}

const nonceOf = ({ timestamp, nonce }: Pick<Signed, 'timestamp' | 'nonce'>) => `${timestamp}.${nonce}`

/** Without leading zeros: the signed text joins its parts, so a nonce of zeros could move into the
 *  time and count as another nonce. */
function isFresh(timestamp: string, now: number): boolean {
  return /^[1-9]\d{0,11}$/.test(timestamp) && Math.abs(Number(timestamp) * 1000 - now) <= PUSH_WINDOW_MS
}

interface Parsed {
  readonly content: Readonly<Record<string, unknown>>
  /** JSON text: of a JSON message the bytes of WeChat, whose numbers may exceed those of
   *  JavaScript. */
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

function describe({ content }: Parsed, text: string) {
  const event = textOf(content.Event) ?? textOf(content.MsgType) ?? 'unknown'
  // The sender of some events is WeChat itself: they name the user in a member of their own.
  const senders = [content.OpenID, content.OpenId, content.FromUserName]
  const openId = senders.map(textOf).find((id) => id !== null && OPEN_ID.test(id)) ?? null
  return { key: keyOf(content.MsgId, text), openId, event, revokedOpenId: REVOKING.has(event) ? openId : null }
}

/** Equal for every delivery of one message. Two events of one user can share second and kind: the
 *  rest of the text tells them apart. */
function keyOf(messageId: unknown, text: string): string {
  const digits = typeof messageId === 'number' ? digitsOf(messageId, text) : textOf(messageId)
  if (digits !== null && /^\d{1,20}$/.test(digits)) return `msg.${digits}`
  return `event.${createHash('sha256').update(text).digest('base64url')}`
}

/** MsgId has 64 bits, a number of JavaScript 53: reads the digits of a larger one from the text.
 *  @see https://tc39.es/proposal-json-parse-with-source/ */
function digitsOf(messageId: number, text: string): string | null {
  if (Number.isSafeInteger(messageId)) return String(messageId)
  let digits: string | null = null
  const revive = (name: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (name === 'MsgId' && value === messageId) digits ??= context?.source ?? null
    return value
  }
  JSON.parse(text, revive)
  return digits
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
