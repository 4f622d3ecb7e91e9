/** The answer to a message: `success`, or a passive reply of the backend in WeChat's format. */
import { randomInt } from 'node:crypto'
import type { PushMessage, PushReply, PushSettings } from '../../port.ts'
import { encryptPush, pushSignature } from './cipher.ts'
import { parseXml, writeXml } from './xml.ts'

export const SUCCESS: PushReply = { contentType: 'text/plain; charset=utf-8', body: 'success' }

/** Null when the text of the backend is no reply: a reply is a JSON object, or XML.
 *  @param text Body of the backend's answer.
 *  @param now Milliseconds since the epoch. */
export function replyToPush(
  settings: PushSettings,
  { format, isEncrypted }: PushMessage,
  text: string,
  now: number
): PushReply | null {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed === 'success') return SUCCESS
  const content = contentOf(trimmed)
  if (content === null) return null
  if (Object.keys(content).length === 0) return SUCCESS
  const plain = format === 'json' ? JSON.stringify(content) : writeXml('xml', content)
  if (!isEncrypted || settings.encodingAesKey === null) return reply(format, plain)
  const encrypted = encryptPush(plain, settings.encodingAesKey, settings.appId)
  const timestamp = Math.floor(now / 1000)
  const nonce = String(randomInt(1_000_000_000))
  const signature = pushSignature(settings.token, String(timestamp), nonce, encrypted)
  const sealed = { Encrypt: encrypted, MsgSignature: signature, TimeStamp: timestamp, Nonce: nonce }
  return reply(format, format === 'json' ? JSON.stringify(sealed) : writeXml('xml', sealed))
}

function contentOf(text: string): Readonly<Record<string, unknown>> | null {
  if (text.startsWith('<')) return parseXml(text)
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function reply(format: 'json' | 'xml', body: string): PushReply {
  return { contentType: format === 'json' ? 'application/json; charset=utf-8' : 'text/xml; charset=utf-8', body }
}
