/** Reads an incoming call completely. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Bytes of a body that are kept; further ones are counted and hashed. */
const KEPT_BODY = 1024 * 1024

export interface SandboxRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Path and query as they came. */
  readonly target: string
  /** Names. */
  readonly headers: readonly string[]
  /** Value of the header, or empty; so is the next. */
  readonly authorization: string
  readonly wechatpaySerial: string
  /** Headers of API signatures, by name in lower case. */
  readonly wechatmp: Readonly<Record<string, string>>
  /** The body, when it is not too long to be kept. */
  readonly text: string
  /** Null unless the body is a JSON object. */
  readonly json: Readonly<Record<string, unknown>> | null
  readonly bodyBytes: number
  readonly bodySha256: string
}

/** Null when the caller disconnected before its request was complete. */
export async function readRequest(incoming: IncomingMessage): Promise<SandboxRequest | null> {
  const target = incoming.url ?? '/'
  const mark = target.indexOf('?')
  const hash = createHash('sha256')
  const chunks: Buffer[] = []
  let bodyBytes = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      if (bodyBytes < KEPT_BODY) chunks.push(chunk)
      bodyBytes += chunk.length
      hash.update(chunk)
    }
  } catch {
    return null
  }
  const kept = bodyBytes <= KEPT_BODY ? Buffer.concat(chunks) : Buffer.alloc(0)
  return {
    method: incoming.method ?? 'GET',
    target,
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers: Object.keys(incoming.headers),
    authorization: incoming.headers.authorization ?? '',
    wechatpaySerial: String(incoming.headers['wechatpay-serial'] ?? ''),
    wechatmp: Object.fromEntries(
      Object.entries(incoming.headers).flatMap(([name, value]) =>
        name.startsWith('wechatmp-') ? [[name, String(value)] as const] : []
      )
    ),
    text: kept.toString('utf8'),
    json: kept.length > 0 ? parse(kept) : null,
    bodyBytes,
    bodySha256: hash.digest('hex')
  }
}

function parse(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}

/** A field that is a text, else `''`. */
export function text(fields: Readonly<Record<string, unknown>> | null, name: string): string {
  const value = fields !== null && Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === 'string' ? value : ''
}
