/** The addresses of WeChat's API: the main one, and a fallback for the time in which no
 *  connection to the main one opens. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { LookupFunction } from 'node:net'
import type { Pool } from 'undici'
import type { CallSpan, Tracer } from '../../http/tracer.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Connector, createConnector } from './connector.ts'

/** Time in which calls go to the fallback first (milliseconds). */
const AVOID_MS = 10_000
const RETRY_PAUSE_MS = 50

/** Addresses of WeChat's API, and the proxy on the way to it. */
export interface WeChatAddress {
  /** A URL; its path is put in front of every call. */
  readonly apiBase: string
  readonly fallbackBase: string | null
  /** URL of the outbound proxy, with its credentials. */
  readonly proxy: string | null
}

export interface Base {
  readonly pool: Pool
  /** In front of every path; without a slash at its end. */
  readonly path: string
}

export interface NamedCall {
  readonly method: string
  /** Behind the base, without the query. */
  readonly path: string
}

export interface Bases {
  /** Origin and path of the main base, which tells the records of several API bases apart. */
  readonly name: string
  /** Runs `send` at the base in use. When it fails before anything was sent, runs it once more:
   *  at the other base or, without one, at the same after a pause.
   *  @param deadline On the clock of `performance.now()`. No second run starts after it.
   *  @param call For the trace of the current request; by default there is no span. */
  reach<T>(
    send: (base: Base) => Promise<T>,
    isUnsent: (error: unknown) => boolean,
    deadline: number,
    call?: NamedCall
  ): Promise<T>
  close(): Promise<void>
}

export interface BasesOptions extends WeChatAddress {
  readonly connectTimeoutMs: number
  /** Default: the resolver of the system. */
  readonly lookup?: LookupFunction
  readonly log: Pick<Log, 'warn'>
  readonly tracer?: Pick<Tracer, 'calls'>
  readonly pool: Pick<Pool.Options, 'connections' | 'headersTimeout' | 'bodyTimeout'>
}

interface NamedBase extends Base {
  readonly name: string
}

interface OpenBases {
  readonly connector: Connector
  readonly main: NamedBase
  /** `main` without a fallback. */
  readonly fallback: NamedBase
}

/** Loads undici, which takes a tenth of the time of a start, with the first call. */
async function openBases(options: BasesOptions): Promise<OpenBases> {
  const { default: undici } = await import('undici')
  const { proxy, connectTimeoutMs: timeoutMs, lookup, apiBase, fallbackBase } = options
  const connector = createConnector({ undici, proxy, timeoutMs, ...(lookup ? { lookup } : {}) })
  const { connect } = connector
  const open = (text: string): NamedBase => {
    const { origin, path, name } = partsOf(text)
    return { pool: new undici.Pool(origin, { ...options.pool, pipelining: 1, connect }), path, name }
  }
  const main = open(apiBase)
  return { connector, main, fallback: fallbackBase === null ? main : open(fallbackBase) }
}

function partsOf(base: string) {
  const { origin, pathname } = new URL(base)
  const path = pathname.replace(/\/+$/, '')
  return { origin, path, name: origin + path }
}

export function createBases(options: BasesOptions): Bases {
  const { log, tracer } = options
  let opening: Promise<OpenBases> | null = null
  let opened: OpenBases | null = null
  let avoidMainUntil = 0
  const outside = AsyncLocalStorage.snapshot()

  function onUnreachable(base: Base, { main, fallback }: OpenBases): void {
    if (base !== main || fallback === main) return
    if (performance.now() >= avoidMainUntil) {
      log.warn({ event: 'wechat_fallback', base: fallback.name }, 'WeChat cannot be reached; calls go to the fallback')
    }
    avoidMainUntil = performance.now() + AVOID_MS
  }

  async function open(): Promise<OpenBases> {
    opening ??= outside(openBases, options)
    opened = await opening
    return opened
  }

  return {
    name: partsOf(options.apiBase).name,

    async reach(send, isUnsent, deadline, call) {
      const openSpan = (call && tracer?.calls()) ?? null
      const run = (base: NamedBase, resends: number) => {
        if (openSpan === null || call === undefined) return send(base)
        return withSpan(openSpan({ ...call, url: base.name, resends }), () => send(base))
      }
      const bases = opened ?? (await open())
      const { main, fallback } = bases
      const [first, second] = performance.now() < avoidMainUntil ? [fallback, main] : [main, fallback]
      try {
        return await run(first, 0)
      } catch (error) {
        if (!isUnsent(error)) throw error
        onUnreachable(first, bases)
        if (performance.now() + 2 * RETRY_PAUSE_MS >= deadline) throw error
      }
      if (first === second) await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS))
      return run(second, 1)
    },

    async close() {
      if (opening === null) return
      const { main, fallback, connector } = await opening
      await Promise.allSettled([main.pool.destroy(), fallback.pool.destroy(), connector.close()])
    }
  }
}

async function withSpan<T>(span: CallSpan, send: () => Promise<T>): Promise<T> {
  try {
    const answer = await send()
    span.ended(hasStatus(answer) ? answer.status : 200, '')
    return answer
  } catch (error) {
    const { reason = 'failed' } = error as { readonly reason?: string }
    const [, status] = /^status (\d{3})$/.exec(reason) ?? []
    span.ended(Number(status ?? 0), status ?? reason)
    throw error
  }
}

/** An answer without a status has one below 300. */
function hasStatus(answer: unknown): answer is { readonly status: number } {
  return typeof answer === 'object' && answer !== null && 'status' in answer && typeof answer.status === 'number'
}
