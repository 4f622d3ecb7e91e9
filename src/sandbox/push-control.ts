/** `POST /sandbox/push`: sends message push, or the check of its URL, to a gateway. */
import { type Answer, control } from './answers.ts'
import type { People } from './people.ts'
import { checkPushUrl, isEncodingAesKey, PUSH_FAULTS, PUSH_FORMATS, PUSH_MODES, type Push, sendPush } from './push.ts'
import { text } from './request.ts'

type Fields = Readonly<Record<string, unknown>>

export interface PushWorld {
  readonly people: Pick<People, 'person'>
  readonly now: () => number
}

export async function pushEvent(world: PushWorld, fields: Fields): Promise<Answer> {
  const push = readPush(world, fields)
  if (typeof push === 'string') return control(400, { error: push })
  return control(200, { ...(fields.check === true ? await checkPushUrl(push) : await sendPush(push)) })
}

/** The reason for a wrong call. */
function readPush({ people, now }: PushWorld, fields: Fields): Push | string {
  const [url, appId, token] = [text(fields, 'url'), text(fields, 'appid'), text(fields, 'token')]
  if (!/^https?:\/\/[^?#]+$/.test(url) || appId === '' || token === '')
    return 'url (without a query), appid and token are needed'
  const encodingAesKey = text(fields, 'encodingAesKey') || null
  if (encodingAesKey !== null && !isEncodingAesKey(encodingAesKey)) return 'encodingAesKey must have 43 characters'
  const mode = oneOf(fields, 'mode', PUSH_MODES, encodingAesKey === null ? 'plain' : 'safe')
  const format = oneOf(fields, 'format', PUSH_FORMATS, 'json')
  const fault = fields.fault === undefined ? null : oneOf(fields, 'fault', PUSH_FAULTS, null)
  if (mode === null) return `mode must be ${PUSH_MODES.join(', ')}`
  if (mode !== 'plain' && encodingAesKey === null) return `mode ${mode} needs encodingAesKey`
  if (format === null) return `format must be ${PUSH_FORMATS.join(', ')}`
  if (fields.fault !== undefined && fault === null) return `fault must be ${PUSH_FAULTS.join(', ')}`
  const message = messageOf(fields, people.person(appId, text(fields, 'user') || 'alice').openId, now())
  if (message === null) return 'message must be an object'
  return { url, appId, token, encodingAesKey, mode, format, fault, message, now: now() }
}

function oneOf<T extends string, U>(fields: Fields, name: string, words: readonly T[], otherwise: U): T | U | null {
  const given = fields[name]
  return given === undefined ? otherwise : (words.find((word) => word === given) ?? null)
}

/** A text of the user; members of `message` replace its own. */
function messageOf({ message = {} }: Fields, openId: string, now: number): Fields | null {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return null
  const head = { ToUserName: 'gh_sandbox', FromUserName: openId, CreateTime: Math.floor(now / 1000) }
  const isText = !('MsgType' in message || 'Event' in message)
  const content = isText
    ? { MsgType: 'text', Content: '你好', MsgId: now * 1000 + Math.floor(Math.random() * 1000) }
    : {}
  return { ...head, ...content, ...('Event' in message ? { MsgType: 'event' } : {}), ...message }
}
