/** One exchange with api.weixin.qq.com: a connection pool, one deadline for all of it, and a
 *  body read as text. */
import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import { ApiError } from '../../errors.ts'
import type { Tracer } from '../../http/tracer.ts'
import type { Log } from '../../telemetry/log.ts'
import type { SealedCall } from './api-signature/signer.ts'
import { type Base, createBases, type WeChatAddress } from './bases.ts'
import { isOwnFault } from './connector.ts'
import type { WeChatAnswer } from './errcodes.ts'
import { isUnsent, sendOnce, TransportFailure } from './send-once.ts'

const BODY_CAP = 64 * 1024
const CONNECTIONS = 128
/** Further calls are refused at once: while WeChat hangs, a queue would only delay the failure. */
const MAX_IN_FLIGHT = 1024

/** A call of the WeChat API. Query and body may hold credentials; only path and method may be
 *  logged. */
export interface WeChatCall {
  readonly method: 'GET' | 'POST'
  /** Starts with `/`, without a query. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, unknown>>
  /** Replaces the body. */
  readonly sealed?: SealedCall
}

export interface Transport {
  /** Origin and base path of the calls, which tells the records of several API bases apart. */
  readonly base: string
  /** A deadline `timeout` from now, on the clock of `performance.now()`. */
  deadline(): number
  /** Returns the JSON object of a 2xx answer, whatever its errcode. Anything else (no
   *  connection, no answer in time, another status, HTML, an empty or too long body) is
   *  wechat_unavailable. Sends at most once: only a connection that failed to open is tried
   *  again. */
  call(call: WeChatCall, deadline: number): Promise<WeChatAnswer>
  close(): Promise<void>
}

export interface TransportOptions extends WeChatAddress {
  readonly timeout: number
  readonly lookup: LookupFunction
  readonly log: Log
  readonly tracer?: Pick<Tracer, 'calls'>
}

export function createTransport(options: TransportOptions): Transport {
  const { timeout, log } = options
  const bases = createBases({
    ...options,
    // Leaves room for the second try inside the deadline.
    connectTimeoutMs: Math.max(100, Math.floor(timeout * 0.4)),
    pool: { connections: CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 }
  })
  let inFlight = 0

  // Once a byte was written, the login code may be spent.
  const exchange = (call: WeChatCall, deadline: number): Promise<WeChatAnswer> =>
    bases.reach((base) => send(base, call, deadline), isUnsent, deadline, call)

  return {
    base: bases.name,
    deadline: () => performance.now() + timeout,

    async call(call, deadline) {
      const began = performance.now()
      inFlight += 1
      try {
        if (inFlight > MAX_IN_FLIGHT) throw new TransportFailure('overloaded', false)
        return await exchange(call, deadline)
      } catch (error) {
        if (!(error instanceof TransportFailure) && isOwnFault(error)) throw error
        const failure = error instanceof TransportFailure ? error : new TransportFailure('internal', true)
        const ms = Math.round(performance.now() - began)
        log.warn({ call: call.path, reason: failure.reason, ms }, 'WeChat gave no valid answer')
        throw unavailable(failure)
      } finally {
        inFlight -= 1
      }
    },

    close: () => bases.close()
  }
}

/** WeChat could not be reached, or its answer is invalid. */
export function unavailable(cause?: TransportFailure): ApiError {
  return new ApiError('wechat_unavailable', 'WeChat gave no valid answer. Try again.', cause ? { cause } : {})
}

function toRequest(call: WeChatCall, base: Base): Dispatcher.DispatchOptions {
  const query = new URLSearchParams(call.query).toString()
  const headers = { accept: 'application/json', 'user-agent': 'wxgate' }
  const path = `${base.path}${call.path}${query === '' ? '' : `?${query}`}`
  const { method, body, sealed } = call
  if (sealed !== undefined) return { method, path, headers: { ...headers, ...sealed.headers }, body: sealed.body }
  if (body === undefined) return { method, path, headers }
  return { method, path, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** The JSON object of a 2xx answer. */
async function send(base: Base, call: WeChatCall, deadline: number): Promise<WeChatAnswer> {
  const limits = { deadline, maxBytes: BODY_CAP, accepts: (status: number) => status <= 299 }
  const { headers, body } = await sendOnce(base.pool, toRequest(call, base), limits)
  return parse(call.sealed === undefined ? body : call.sealed.open(headers, body))
}

/** Content-Type is ignored: WeChat sends JSON as text/plain, and HTML or an empty body with
 *  status 200. */
function parse(body: Buffer): WeChatAnswer {
  const text = body.toString('utf8').replace(/^\uFEFF/, '')
  if (text.trim() === '') throw new TransportFailure('empty body', true)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new TransportFailure('body is not JSON', true)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TransportFailure('body is not a JSON object', true)
  }
  // JSON.parse takes the last of two members, another reader the first.
  if (text.indexOf('"openid"') !== text.lastIndexOf('"openid"')) throw new TransportFailure('openid given twice', true)
  return value as WeChatAnswer
}
