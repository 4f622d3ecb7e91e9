/** Carries a backend's call to api.weixin.qq.com with the app's access token, and brings back what came. */
import { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import type { AppConfig } from '../../config/config.ts'
import { ApiError } from '../../errors.ts'
import { type ReadAhead, readAhead } from '../../http/body/read-ahead.ts'
import { createResponseHeaders } from '../../http/headers/response-headers.ts'
import type { AccessTokens } from './access-token.ts'
import { withAccessToken } from './egress-paths.ts'
import { isTokenRejected } from './errcodes.ts'
import { unavailable } from './transport.ts'

const CONNECTIONS = 128
/** A refusal of WeChat is shorter than this; what is longer is passed on unread. */
const REFUSAL = 4 * 1024
/** Of WeChat's front servers, and no business of a backend. */
const NOT_PASSED_ON = { set: {}, remove: ['set-cookie', 'alt-svc', 'strict-transport-security'] }

export interface ForwardedCall {
  readonly method: string
  /** Starts with `/`. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  /** Name and value in turns. */
  readonly headers: readonly string[]
  /** A stream can be sent once: then a rejected token is dropped, and the refusal passed on. */
  readonly body: Buffer | Readable | null
  /** Aborted when the backend has left. */
  readonly signal: AbortSignal
}

export interface ForwardedAnswer {
  readonly status: number
  /** Name and value in turns. */
  readonly headers: string[]
  readonly body: ReadAhead
  readonly isTokenRejected: boolean
}

export interface WeChatForwarder {
  /** Rejects with an ApiError. A token that WeChat rejects is replaced, and the call made once more. */
  forward(app: AppConfig, call: ForwardedCall): Promise<ForwardedAnswer>
  close(): Promise<void>
}

export interface WeChatForwarderOptions {
  readonly apiBase: string
  /** Milliseconds to the head of the answer once the request is out, and between two pieces of its body. */
  readonly timeout: number
  readonly accessTokens: AccessTokens
}

export function createWeChatForwarder({ apiBase, timeout, accessTokens }: WeChatForwarderOptions): WeChatForwarder {
  const url = new URL(apiBase)
  const basePath = url.pathname.replace(/\/+$/, '')
  const responseHeaders = createResponseHeaders()
  const pool = new Pool(url.origin, {
    connections: CONNECTIONS,
    pipelining: 1,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: { timeout }
  })

  async function send(call: ForwardedCall, token: string): Promise<ForwardedAnswer> {
    const { method, path, query, headers, body, signal } = call
    let response: Dispatcher.ResponseData
    try {
      response = await pool.request({
        path: `${basePath}${path}${withAccessToken(query, token)}`,
        method: method as Dispatcher.HttpMethod,
        headers: [...headers],
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
      // Errors of undici can hold the request line, and with it the token.
      throw error instanceof ApiError ? error : unavailable()
    }
  }

  return {
    async forward(app, call) {
      const isRejected = (answer: ForwardedAnswer) => answer.isTokenRejected
      if (!(call.body instanceof Readable)) {
        return accessTokens.withAccessToken(app, (token) => send(call, token), { isRejected })
      }
      const token = await accessTokens.get(app)
      const answer = await send(call, token)
      if (answer.isTokenRejected) await accessTokens.invalidate(app, token)
      return answer
    },
    // What is under way ends by itself, at the latest by its timeouts.
    close: () => pool.close()
  }
}

/** WeChat says no with status 200 and JSON of any type. An image, or whatever else begins otherwise, is not waited for, and
 *  neither is JSON that trickles in for longer than `patience`. */
async function peek(
  { body }: Dispatcher.ResponseData,
  patience: number
): Promise<Pick<ForwardedAnswer, 'body' | 'isTokenRejected'>> {
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

/** A redirect, for one, could repeat the whole query. */
function withoutSecret(headers: readonly string[], token: string): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const value = headers[index + 1] as string
    if (!value.includes(token) && !value.includes(encodeURIComponent(token))) kept.push(headers[index] as string, value)
  }
  return kept
}
