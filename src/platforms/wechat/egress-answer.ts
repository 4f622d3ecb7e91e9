/** Reads an answer of WeChat for a backend: its head, its errcode, and its body as a stream. */
import type { ReadAhead } from '../../http/body/read-ahead.ts'
import { createResponseHeaders } from '../../http/headers/response-headers.ts'
import { createSpellings } from '../../http/headers/spellings.ts'
import { latin1 } from '../../http/wire/latin1.ts'
import type { EgressAnswer } from '../port.ts'
import type { SealedCall } from './api-signature/signer.ts'
import type { IsEnough, ReadAnswer } from './ask.ts'
import { readErrcode } from './errcodes.ts'
import { createTokenMask, type TokenMask } from './token-mask.ts'
import { unavailable } from './transport.ts'

/** Largest refusal of WeChat in bytes; longer answers pass unread. */
const REFUSAL = 4 * 1024
/** Bytes of a signed answer. */
const MAX_SIGNED = 8 * 1024 * 1024
/** The open-API service of 微信云托管 marks its answers with it. */
const SEQUENCE_ID = 'x-openapi-seqid'
/** Set by WeChat's front servers for WeChat's own hosts. */
const NOT_PASSED_ON = new Set([SEQUENCE_ID, 'set-cookie', 'alt-svc', 'strict-transport-security'])
const NO_EDITS = { set: {}, remove: [] }
/** RFC 9110, section 5.5. Node refuses to write such a value. */
const ILLEGAL = /[^\t\x20-\x7e\x80-\xff]/
const ERRCODE = Buffer.from('errcode')
/** Starts a character of JSON that is written as its number. */
const ESCAPE = Buffer.from('\\u')

/** The call that is answered. */
interface Asked {
  readonly token: string
  readonly requestId: string
  /** Null for a call that was not signed. */
  readonly sealed: SealedCall | null
}

/** Ends the reading of an answer that is no refusal: WeChat refuses with status 200 and JSON under
 *  any media type. Does not wait for an answer that starts otherwise, such as an image, nor for
 *  JSON that takes longer than `patience` milliseconds. */
export function refusalEnd(patience: number): IsEnough {
  const deadline = performance.now() + patience
  return (size, chunk) => {
    const isFirst = size === chunk.length
    return (isFirst && !startsAsJson(chunk)) || size > REFUSAL || performance.now() > deadline
  }
}

/** A signature covers all of the answer. */
export const signedEnd: IsEnough = (size) => size > MAX_SIGNED

/** True for a brace after white space (RFC 8259, section 2) and at most one byte order mark. */
function startsAsJson(bytes: Buffer): boolean {
  const end = Math.min(bytes.length, 64)
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  while (at < end && isSpace(bytes[at])) at++
  return at < end && bytes[at] === 0x7b
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Throws an ApiError for an answer that cannot be passed on, and a TransportFailure for one that
 *  is not signed as it has to be. */
export function createAnswerReader(): (answer: ReadAnswer, asked: Asked) => EgressAnswer {
  const responseHeaders = createResponseHeaders()
  const fateOf = createSpellings((name) =>
    ILLEGAL.test(name) ? 'illegal' : NOT_PASSED_ON.has(name.toLowerCase()) ? 'drop' : 'pass'
  )
  let known: { readonly token: string; readonly mask: TokenMask } | null = null

  function maskFor(token: string): TokenMask {
    const found = known?.token === token ? known : { token, mask: createTokenMask(token) }
    known = found
    return found.mask
  }

  /** Null for a head that cannot be written. A redirect could repeat the whole query, so no header
   *  with the token is passed on. */
  function passedOn(raw: readonly Buffer[], mask: TokenMask, requestId: string): string[] | null {
    const headers = [SEQUENCE_ID, requestId]
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const [name, value] = [textOf(raw[index]), textOf(raw[index + 1])]
      const fate = fateOf(name)
      if (fate === 'illegal' || ILLEGAL.test(value)) return null
      if (fate === 'pass' && !mask.isIn(value)) headers.push(name, value)
    }
    return headers
  }

  return ({ status, headers, body }, { token, requestId, sealed }) => {
    const mask = maskFor(token)
    const passed = passedOn(headers, mask, requestId)
    const built = passed === null ? null : responseHeaders.build(passed, status, NO_EDITS)
    if (built === null || (sealed !== null && body.rest !== null)) {
      body.rest?.on('error', () => {}).destroy()
      throw unavailable()
    }
    const read = sealed === null ? body : { head: sealed.open(namedHeaders(headers), body.head), rest: null }
    const errcode = read.rest === null && startsAsJson(read.head) ? errcodeOf(read.head) : null
    const own = sealed === null ? built : withLength(built, read.head.length)
    return { status, headers: own, body: masked(read, mask), errcode }
  }
}

function textOf(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : latin1(bytes, 0, bytes.length)
}

function namedHeaders(raw: readonly Buffer[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let index = 0; index + 1 < raw.length; index += 2)
    headers[String(raw[index]).toLowerCase()] = String(raw[index + 1])
  return headers
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

/** Null for a body whose errcode cannot be read. */
function errcodeOf(body: Buffer): number | null {
  if (body.indexOf(ERRCODE) === -1 && body.indexOf(ESCAPE) === -1) return 0
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
