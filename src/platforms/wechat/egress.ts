/** Sends a backend's call to api.weixin.qq.com with the app's access token, and returns the
 *  answer. */
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import { ApiError } from '../../errors.ts'
import { readAhead } from '../../http/body/read-ahead.ts'
import { createResponseHeaders } from '../../http/headers/response-headers.ts'
import type { EgressAnswer, EgressCall, EgressCapability } from '../port.ts'
import type { ApiTokens } from './api-tokens.ts'
import { judgePath, withAccessToken } from './egress-paths.ts'
import { isTokenRejected } from './errcodes.ts'
import { unavailable } from './transport.ts'

const CONNECTIONS = 128
/** Largest refusal of WeChat in bytes; longer answers pass unread. */
const REFUSAL = 4 * 1024
/** Set by WeChat's front servers for WeChat's own hosts. */
const NOT_PASSED_ON = { set: {}, remove: ['set-cookie', 'alt-svc', 'strict-transport-security'] }

/** Headers that WeChat's API reads, those of API signatures last. Drops cookies and the headers
 *  of proxies and tracing. Drops Accept-Encoding, so that an answer comes uncompressed and a
 *  refusal can be recognised. */
const PASSED_ON =
  /^(?:accept|accept-language|content-type|content-encoding|content-disposition|range|user-agent|if-[a-z-]+|wechatmp-[a-z-]+)$/i

export interface EgressOptions {
  readonly apiBase: string
  /** Milliseconds to the head of the answer after the request, and between two pieces of its
   *  body. */
  readonly timeout: number
  /** Resolves the name of `apiBase`. */
  readonly lookup: LookupFunction
  readonly apiTokens: ApiTokens
}

interface Answer extends EgressAnswer {
  readonly isTokenRejected: boolean
}

export function createEgress({
  apiBase,
  timeout,
  lookup,
  apiTokens
}: EgressOptions): EgressCapability & { close(): Promise<void> } {
  const url = new URL(apiBase)
  const basePath = url.pathname.replace(/\/+$/, '')
  const responseHeaders = createResponseHeaders()
  const pool = new Pool(url.origin, {
    connections: CONNECTIONS,
    pipelining: 1,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: { timeout, lookup }
  })

  async function send(call: EgressCall, token: string): Promise<Answer> {
    const { method, path, query, body, signal } = call
    let response: Dispatcher.ResponseData
    try {
      response = await pool.request({
        path: `${basePath}${path}${withAccessToken(query, token)}`,
        method: method as Dispatcher.HttpMethod,
        headers: headersOf(call),
        body,
        signal,
        responseHeaders: 'raw'
      })
      const raw = response.headers as unknown as readonly Buffer[]
      const built = responseHeaders.build(raw, response.statusCode, NOT_PASSED_ON)
      if (built === null) throw unavailable()
      const answer = await peek(response, timeout)
      return { ...answer, status: response.statusCode, headers: withoutSecret(built, token) }
    } catch (error) {
      // Errors of undici can hold the request line with the token.
      throw error instanceof ApiError ? error : unavailable()
    }
  }

  return {
    judge: judgePath,

    async forward(app, call) {
      const isRejected = (answer: Answer) => answer.isTokenRejected
      if (!(call.body instanceof Readable)) {
        return apiTokens.withAccessToken(app, (token) => send(call, token), { isRejected })
      }
      const token = await apiTokens.get(app)
      const answer = await send(call, token)
      if (answer.isTokenRejected) await apiTokens.invalidate(app, token)
      return answer
    },
    close: () => pool.destroy()
  }
}

function headersOf({ headers, body, contentLength }: EgressCall): string[] {
  const passed: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string
    if (PASSED_ON.test(name)) passed.push(name, headers[index + 1] as string)
  }
  if (body instanceof Readable && contentLength !== null) passed.push('content-length', String(contentLength))
  return passed
}

/** WeChat refuses with status 200 and JSON under any media type. Does not wait for an answer
 *  that starts otherwise, such as an image, nor for JSON that takes longer than `patience`. */
async function peek(
  { body }: Dispatcher.ResponseData,
  patience: number
): Promise<Pick<Answer, 'body' | 'isTokenRejected'>> {
  const deadline = performance.now() + patience
  let isJson = true
  const read = await readAhead(body, (size, chunk) => {
    if (size === chunk.length) isJson = /^\uFEFF?\s*\{/.test(chunk.toString('utf8', 0, 64))
    return !isJson || size > REFUSAL || performance.now() > deadline
  })
  return { body: read, isTokenRejected: isJson && read.rest === null && isTokenRejected(parse(read.head)) }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8').replace(/^\uFEFF/, ''))
  } catch {
    return null
  }
}

/** A redirect could repeat the whole query. */
function withoutSecret(headers: readonly string[], token: string): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const value = headers[index + 1] as string
    if (!value.includes(token) && !value.includes(encodeURIComponent(token))) kept.push(headers[index] as string, value)
  }
  return kept
}
