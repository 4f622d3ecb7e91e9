/** Sends message push to a gateway as WeChat does: the check of the URL, and messages in every
 *  mode. https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push */
import { randomBytes, randomInt } from 'node:crypto'
import { decryptPush, ENCODING_AES_KEY, encryptPush, pushSignature } from '../platforms/wechat/push/cipher.ts'
import { parseXml, writeXml } from '../platforms/wechat/push/xml.ts'

export const PUSH_MODES = ['safe', 'compatible', 'plain'] as const
export const PUSH_FORMATS = ['json', 'xml'] as const
/** A message that no receiver may accept. */
export const PUSH_FAULTS = ['signature', 'old', 'other-app', 'other-key'] as const

export interface Push {
  /** As it stands in the console. */
  readonly url: string
  readonly appId: string
  readonly token: string
  /** Null for plain mode. */
  readonly encodingAesKey: string | null
  readonly mode: (typeof PUSH_MODES)[number]
  readonly format: (typeof PUSH_FORMATS)[number]
  readonly message: Readonly<Record<string, unknown>>
  readonly fault: (typeof PUSH_FAULTS)[number] | null
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface PushResult {
  /** 0 without an answer within five seconds, the time that WeChat waits. */
  readonly status: number
  readonly body: string
}

const WAIT_MS = 5_000
/** Older than every receiver accepts. */
const OLD_MS = 3_600_000
const OTHER_APP = 'wx0000000000000000'

export function isEncodingAesKey(text: string): boolean {
  return ENCODING_AES_KEY.test(text)
}

export async function sendPush(push: Push): Promise<PushResult & { readonly reply?: unknown }> {
  const { url, appId, encodingAesKey, mode, format, message, fault } = push
  const write = (content: Readonly<Record<string, unknown>>) =>
    format === 'json' ? JSON.stringify(content) : writeXml('xml', content)
  const query = signedQuery(push)
  let body = write(message)
  if (mode !== 'plain' && encodingAesKey !== null) {
    const key = fault === 'other-key' ? `${'A'.repeat(42)}E` : encodingAesKey
    const encrypted = encryptPush(body, key, fault === 'other-app' ? OTHER_APP : appId)
    query.set('encrypt_type', 'aes')
    query.set('msg_signature', signature(push, query, encrypted))
    const shown = mode === 'compatible' ? message : { ToUserName: message.ToUserName }
    body = write({ ...shown, Encrypt: encrypted })
  }
  const type = format === 'json' ? 'application/json' : 'text/xml'
  const answer = await ask(`${url}?${query}`, { method: 'POST', headers: { 'content-type': type }, body })
  const reply = encodingAesKey === null ? undefined : openReply(answer.body, encodingAesKey, appId)
  return { ...answer, ...(reply === undefined ? {} : { reply }) }
}

/** The check of the URL when it is saved in the console. */
export async function checkPushUrl(push: Push): Promise<PushResult & { readonly isEchoed: boolean }> {
  const query = signedQuery(push)
  const echo = String(randomInt(1e12, 9e12))
  query.set('echostr', echo)
  const answer = await ask(`${push.url}?${query}`, { method: 'GET' })
  return { ...answer, isEchoed: answer.status === 200 && answer.body === echo }
}

function signedQuery(push: Push): URLSearchParams {
  const timestamp = String(Math.floor((push.now - (push.fault === 'old' ? OLD_MS : 0)) / 1000))
  const query = new URLSearchParams({ timestamp, nonce: randomBytes(6).toString('hex') })
  query.set('signature', signature(push, query))
  return query
}

function signature({ token, fault }: Push, query: URLSearchParams, ...encrypted: readonly string[]): string {
  const secret = fault === 'signature' ? `${token}x` : token
  return pushSignature(secret, query.get('timestamp') ?? '', query.get('nonce') ?? '', ...encrypted)
}

async function ask(url: string, init: RequestInit): Promise<PushResult> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(WAIT_MS) })
    return { status: response.status, body: await response.text() }
  } catch {
    return { status: 0, body: '' }
  }
}

/** A passive reply in clear; undefined for an answer that is not encrypted. */
function openReply(body: string, encodingAesKey: string, appId: string): unknown {
  const encrypted = read(body)?.Encrypt
  const text = typeof encrypted === 'string' ? decryptPush(encrypted, encodingAesKey, appId) : null
  return text === null ? undefined : (read(text) ?? text)
}

function read(text: string): Readonly<Record<string, unknown>> | null {
  if (text.trimStart().startsWith('<')) return parseXml(text)
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
