/** Reads an answer of WeChat for a backend: its head, its errcode, and its body as a stream. */
import type { Dispatcher } from 'undici'
import { type ReadAhead, readAhead } from '../../http/body/read-ahead.ts'
import { createResponseHeaders } from '../../http/headers/response-headers.ts'
import type { EgressAnswer } from '../port.ts'
import type { SealedCall } from './api-signature/signer.ts'
import { readErrcode } from './errcodes.ts'
import { TransportFailure } from './send-once.ts'
import { createTokenMask, type TokenMask } from './token-mask.ts'
import { unavailable } from './transport.ts'

/** Largest refusal of WeChat in bytes; longer answers pass unread. */
const REFUSAL = 4 * 1024
/** Bytes of a signed answer. */
const MAX_SIGNED = 8 * 1024 * 1024
/** The open-API service of 微信云托管 marks its answers with it. */
const SEQUENCE_ID = 'x-openapi-seqid'
/** Set by WeChat's front servers for WeChat's own hosts. */
const NOT_PASSED_ON = { set: {}, remove: [SEQUENCE_ID, 'set-cookie', 'alt-svc', 'strict-transport-security'] }

/** The call that is answered. */
interface Asked {
  readonly token: string
  readonly requestId: string
  /** Null for a call that was not signed. */
  readonly sealed: SealedCall | null
}

/** @param patience Milliseconds to wait for the end of an answer that may be a refusal. */
export function createAnswerReader(
  patience: number
): (response: Dispatcher.ResponseData, asked: Asked) => Promise<EgressAnswer> {
  const responseHeaders = createResponseHeaders()
  return async ({ headers, statusCode, body }, { token, requestId, sealed }) => {
    const raw = headers as unknown as readonly Buffer[]
    const built = responseHeaders.build(raw, statusCode, NOT_PASSED_ON)
    if (built === null) {
      body.on('error', () => {}).destroy()
      throw unavailable()
    }
    const mask = createTokenMask(token)
    const { isJson, read } = sealed === null ? await peek(body, patience) : await openAll(body, raw, sealed)
    const errcode = isJson && read.rest === null ? errcodeOf(read.head) : null
    const passed = withoutToken(built, mask)
    const own = sealed === null ? passed : withLength(passed, read.head.length)
    return { status: statusCode, headers: [SEQUENCE_ID, requestId, ...own], body: masked(read, mask), errcode }
  }
}

/** Reads an encrypted answer completely, since its signature covers all of it. */
async function openAll(body: Dispatcher.ResponseData['body'], raw: readonly Buffer[], sealed: SealedCall) {
  const { head, rest } = await readAhead(body, (size) => size > MAX_SIGNED)
  rest?.on('error', () => {}).destroy()
  if (rest !== null) throw new TransportFailure('the signed answer is too large', true)
  const headers: Record<string, string> = {}
  for (let index = 0; index + 1 < raw.length; index += 2)
    headers[String(raw[index]).toLowerCase()] = String(raw[index + 1])
  return { isJson: true, read: { head: sealed.open(headers, head), rest: null } }
}

/** The head of a decrypted answer. */
function withLength(headers: readonly string[], length: number): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string
    if (!/^(?:content-length|wechatmp-.*)$/i.test(name)) kept.push(name, headers[index + 1] as string)
  }
  return [...kept, 'content-length', String(length)]
}

/** WeChat refuses with status 200 and JSON under any media type. Does not wait for an answer
 *  that starts otherwise, such as an image, nor for JSON that takes longer than `patience`. */
async function peek(
  body: Dispatcher.ResponseData['body'],
  patience: number
): Promise<{ readonly isJson: boolean; readonly read: ReadAhead }> {
  const deadline = performance.now() + patience
  let isJson = true
  const read = await readAhead(body, (size, chunk) => {
    if (size === chunk.length) isJson = /^\uFEFF?\s*\{/.test(chunk.toString('utf8', 0, 64))
    return !isJson || size > REFUSAL || performance.now() > deadline
  })
  return { isJson, read }
}

/** Null for a body without an errcode that can be read. */
function errcodeOf(body: Buffer): number | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8').replace(/^\uFEFF/, ''))
    const errcode = typeof value === 'object' && value !== null ? readErrcode({ ...value }) : Number.NaN
    return Number.isNaN(errcode) ? null : errcode
  } catch {
    return null
  }
}

function masked({ head, rest }: ReadAhead, mask: TokenMask): ReadAhead {
  if (rest !== null) return { head, rest: mask.stream(rest) }
  mask.bytes(head)
  return { head, rest }
}

/** A redirect could repeat the whole query. */
function withoutToken(headers: readonly string[], mask: TokenMask): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const value = headers[index + 1] as string
    if (!mask.isIn(value)) kept.push(headers[index] as string, value)
  }
  return kept
}
