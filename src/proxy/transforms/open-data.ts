/** Routes with `openData: true`: replaces encrypted data in a JSON body by the plain data for
 *  the backend. Refuses bodies that a lenient parser could read differently, so that no client can
 *  forge `openData`. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../../errors.ts'
import { readAhead } from '../../http/body/read-ahead.ts'
import { BODY_TOO_LARGE } from '../../http/body/request-body.ts'
import { readable } from '../../http/body/streamed-body.ts'
import { canonicalName, OPEN_DATA_HEADER } from '../../http/headers/header-names.ts'
import { headerValue } from '../../http/headers/header-value.ts'
import type { OpenDataReader } from '../../identity/open-data-reader.ts'
import type { BodyTransform, TransformedRequest } from './transform.ts'

/** Bytes of JSON that are read. */
const MAX_JSON = 256 * 1024

const ENCODED = new ApiError('invalid_request', 'This route reads the body: send it without Content-Encoding.')
const NOT_JSON = new ApiError(
  'invalid_request',
  'This route takes one JSON object in UTF-8, as "Content-Type: application/json" without another charset.'
)
const FORGED = new ApiError(
  'invalid_request',
  'The member "openData" is set by the gateway. Send encryptedData and iv.'
)
const ANONYMOUS = new ApiError('token_missing', 'Open data needs "Authorization: Bearer <access token>". Log in first.')

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?$/i
/** Digests of a body that was replaced (RFC 9530). */
const DIGESTS = new Set(['content-md5', 'digest', 'content-digest', 'repr-digest'])

/** `X-Open-Data: verified` marks data that the gateway decrypted. A body without
 *  `encryptedData` and `iv` stays unchanged. */
export function createOpenDataTransform(openData: Pick<OpenDataReader, 'decrypt'>): BodyTransform {
  return {
    needsBody: true,

    async apply(request) {
      const { upstreamHeaders } = request
      const body = await readJson(request)
      const replaced = await replaceMembers(body, request, openData)
      if (replaced !== null) {
        removeDigests(upstreamHeaders)
        upstreamHeaders.push(OPEN_DATA_HEADER, 'verified')
      }
      return { body: replaced ?? body, answer: null }
    }
  }
}

async function readJson({ client, headers, limits }: TransformedRequest): Promise<Buffer> {
  if (isEncoded(headers.kept)) throw ENCODED
  if (!JSON_TYPE.test(headerValue(headers.kept, 'content-type') ?? '')) throw NOT_JSON
  const limit = Math.min(limits.limit, MAX_JSON)
  const { head, rest } = await readAhead(readable(client.openBody(limits)), (size) => size > limit)
  if (rest === null && head.length <= limit) return head
  rest?.destroy()
  throw BODY_TOO_LARGE
}

/** Null for a body without open data. */
async function replaceMembers(
  body: Buffer,
  { principal }: TransformedRequest,
  openData: Pick<OpenDataReader, 'decrypt'>
): Promise<Buffer | null> {
  const fields = parse(body)
  if (Object.keys(fields).some(namesOpenData)) throw FORGED
  const { encryptedData, iv, ...others } = fields
  if (typeof encryptedData !== 'string' || typeof iv !== 'string') return null
  if (principal === null) throw ANONYMOUS
  const data = await openData.decrypt(principal.appId, principal.openId, { encryptedData, iv })
  return Buffer.from(JSON.stringify({ ...others, openData: data }))
}

/** Some decoders (Go) ignore letter case in names, others fold look-alikes. A JavaScript
 *  backend that copies the body takes over the members of `__proto__`. */
function namesOpenData(name: string): boolean {
  return (
    name === '__proto__' ||
    name
      .normalize('NFKC')
      .replace(/[^\p{L}\p{N}]/gu, '')
      .toLowerCase() === 'opendata'
  )
}

function parse(body: Buffer): Record<string, unknown> {
  const text = isUtf8(body) ? body.toString('utf8') : ''
  // A byte order mark, a comment and ")]}'" are not JSON, but some parsers skip them.
  if (!/^[\t\n\r ]*\{/.test(text)) throw NOT_JSON
  try {
    return JSON.parse(text, keepNumber) as Record<string, unknown>
  } catch {
    throw NOT_JSON
  }
}

/** The proposal "JSON.parse source text access", which TypeScript has no types for. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

/** Keeps the digits of a number that a double cannot hold, such as a long id. */
function keepNumber(this: unknown, _name: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  return typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value
}

/** Every line counts, in every spelling: a backend joins the lines, and text can be JSON and
 *  compressed data at once. */
function isEncoded(headers: readonly string[]): boolean {
  return headers.some((name, index) => {
    if (index % 2 !== 0 || canonicalName(name) !== 'content-encoding') return false
    return headers[index + 1]?.toLowerCase() !== 'identity'
  })
}

function removeDigests(headers: string[]): void {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (DIGESTS.has(headers[index]?.toLowerCase() ?? '')) headers.splice(index, 2)
  }
}
