/** Reads the gateway's errors (application/problem+json, RFC 9457) out of responses. */
import { isBytes, toText } from './bytes'
import { createError, type WxgateError } from './errors'
import type { WxHeaders } from './wx'

const TYPE = 'urn:wxgate:error:'

/** Returns null for every response that is not the gateway's error, whatever its status: a 401
 *  of the business service belongs to the caller. */
export function readProblem(statusCode: number, data: unknown, header: WxHeaders | undefined): WxgateError | null {
  if (statusCode < 400) return null
  const body = toObject(data)
  if (!body || body.type !== TYPE + String(body.code)) return null
  const seconds = Number(headerOf(header, 'retry-after'))
  return createError({
    code: String(body.code),
    status: statusCode,
    action: body.action === 'refresh' || body.action === 'login' || body.action === 'retry' ? body.action : 'none',
    detail: String(body.detail),
    requestId: String(body.request_id),
    ...(seconds > 0 ? { retryAfter: seconds } : {})
  })
}

/** Returns true when the headers announce an error in the gateway's form. */
export function isProblemType(header: WxHeaders | undefined): boolean {
  return /^application\/problem\+json/i.test(headerOf(header, 'content-type') ?? '')
}

export function headerOf(header: WxHeaders | undefined, name: string): string | undefined {
  for (const key in header) if (key.toLowerCase() === name) return header[key]
  return undefined
}

/** Longest body, in characters or bytes, that is parsed. The gateway's errors have a few
 *  hundred. */
const MAX_LENGTH = 16 * 1024

/** Takes text, bytes or parsed JSON: `dataType` and `responseType` of the call decide which of
 *  them arrives. */
function toObject(data: unknown): { [name: string]: unknown } | null {
  if (isBytes(data)) return toObject(data.byteLength > MAX_LENGTH ? '' : toText(new Uint8Array(data)))
  if (typeof data === 'string') {
    if (data.charAt(0) !== '{' || data.length > MAX_LENGTH) return null
    try {
      return toObject(JSON.parse(data))
    } catch (_error) {
      return null
    }
  }
  return typeof data === 'object' && data !== null ? (data as { [name: string]: unknown }) : null
}
