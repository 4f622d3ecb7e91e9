/** Routes with `openData: true`: the encrypted data in a JSON body is replaced by the plain data on its way to the backend.
 *  The only place where a body that is forwarded is read. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { ApiError } from '../../errors.ts'
import { readAhead } from '../../http/body/read-ahead.ts'
import { BODY_TOO_LARGE, RequestBody } from '../../http/body/request-body.ts'
import type { OpenDataReader } from '../../identity/open-data-reader.ts'
import type { BodyTransform, ForwardedBody, TransformedRequest } from './transform.ts'

/** Bytes of JSON that are read. */
const MAX_JSON = 256 * 1024

const ENCODED = new ApiError('invalid_request', 'This route reads the body: send it without Content-Encoding.')
const NOT_JSON = new ApiError('invalid_request', 'The body begins like JSON and is not valid JSON in UTF-8.')
const FORGED = new ApiError(
  'invalid_request',
  'The member "openData" is set by the gateway. Send encryptedData and iv.'
)
const ANONYMOUS = new ApiError('token_missing', 'Open data needs "Authorization: Bearer <access token>". Log in first.')

/** Digests of a body that no longer is the one (RFC 9530). */
const DIGESTS = new Set(['content-md5', 'digest', 'content-digest', 'repr-digest'])

/** Reads a body that begins like a JSON object and puts `openData` in the place of `encryptedData` and `iv`. What has not
 *  both, or is no JSON, stays as it came. Whatever its Content-Type says, a body that a backend could take for JSON never
 *  carries an `openData` that is not ours. Rejects with an ApiError. */
export function createOpenDataTransform(openData: Pick<OpenDataReader, 'decrypt'>): BodyTransform {
  return { apply: (req, request) => replaceBody(req, request, openData) }
}

async function replaceBody(
  req: IncomingMessage,
  request: TransformedRequest,
  openData: Pick<OpenDataReader, 'decrypt'>
): Promise<ForwardedBody> {
  const { headers, limits, upstreamHeaders } = request
  const encoding = headerOf(headers.kept, 'content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw ENCODED
  const limit = Math.min(limits.limit, MAX_JSON)
  const sniffer = createSniffer()
  const { head, rest } = await readAhead(new RequestBody(req, limits), (size, chunk) => {
    return !sniffer.mayBeJson(chunk) || size > limit
  })
  if (rest !== null && sniffer.verdict === 'other') {
    if (headers.contentLength !== null) upstreamHeaders.push('content-length', String(headers.contentLength))
    return rest
  }
  if (rest !== null || head.length > limit) {
    rest?.destroy()
    throw BODY_TOO_LARGE
  }
  const body = sniffer.verdict === 'json' ? await replaceMembers(head, request, openData) : head
  if (body !== head) withoutDigests(upstreamHeaders)
  upstreamHeaders.push('content-length', String(body.length))
  return body
}

/** White space of JSON (RFC 8259, section 2), byte order marks, and the zeros of UTF-16 and UTF-32, which some parsers find
 *  out for themselves. */
const SKIPPED = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf, 0xfe, 0xff])

/** Decides by the first byte that means something. */
function createSniffer() {
  let verdict: 'json' | 'other' | null = null
  return {
    mayBeJson(chunk: Buffer): boolean {
      for (let index = 0; verdict === null && index < chunk.length; index++) {
        const byte = chunk[index]
        if (byte === undefined || SKIPPED.has(byte)) continue
        verdict = byte === 0x7b ? 'json' : 'other'
      }
      return verdict !== 'other'
    },
    get verdict() {
      return verdict
    }
  }
}

async function replaceMembers(
  body: Buffer,
  { principal }: TransformedRequest,
  openData: Pick<OpenDataReader, 'decrypt'>
): Promise<Buffer> {
  const fields = parse(body)
  if (Object.keys(fields).some(namesOpenData)) throw FORGED
  const { encryptedData, iv, ...others } = fields
  if (typeof encryptedData !== 'string' || typeof iv !== 'string') return body
  if (principal === null) throw ANONYMOUS
  const data = await openData.decrypt(principal.appId, principal.openId, { encryptedData, iv })
  return Buffer.from(JSON.stringify({ ...others, openData: data }))
}

/** Some decoders (Go's among them) take names for the same that differ in case; and what is below `__proto__` is a member
 *  of its own to a backend in JavaScript that copies the body. */
function namesOpenData(name: string): boolean {
  return name === '__proto__' || name.normalize('NFKC').replace(/[_-]/g, '').toLowerCase() === 'opendata'
}

/** Numbers keep their digits: what a double cannot hold, such as a long id, would come out as another one. */
function parse(body: Buffer): Record<string, unknown> {
  if (!isUtf8(body)) throw NOT_JSON
  try {
    return JSON.parse(body.toString('utf8'), keepNumber) as Record<string, unknown>
  } catch {
    throw NOT_JSON
  }
}

/** The proposal "JSON.parse source text access", which TypeScript does not know yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

function keepNumber(this: unknown, _name: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  return typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value
}

function headerOf(headers: readonly string[], wanted: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === wanted) return headers[index + 1]
  }
  return undefined
}

function withoutDigests(headers: string[]): void {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (DIGESTS.has(headers[index]?.toLowerCase() ?? '')) headers.splice(index, 2)
  }
}
