/** Decides which requests get a trace, opens their records, and finds the trace of the current
 *  request for the code that it runs. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import { ApiError } from '../errors.ts'
import type { OpenRecord } from './admit.ts'
import type { RequestHeaders } from './headers/request-headers.ts'
import { RequestRecord } from './record.ts'
import { GatewayRequest } from './request.ts'
import { createTraceIds } from './trace-ids.ts'
import { type SpanSink, type TraceContext, TracedRecord, traceparentOf } from './traced-record.ts'
import type { CallSpan, TracedCall, Tracer } from './tracer.ts'

export interface Tracing {
  readonly openRecord: OpenRecord
  readonly tracer: Tracer
  /** A request is for an own endpoint.
   *  @param endpoint The template of its path. */
  named(message: IncomingMessage, endpoint: string): void
  /** Runs the handler of an own endpoint within the trace of its request. */
  around(message: IncomingMessage, handler: () => void): void
  /** Ids of the part of a request that the current code belongs to. */
  current(): { readonly traceId: string; readonly spanId: string } | null
  /** @param share From 0 to 1. */
  sample(share: number): void
}

/** The part of a request that the current code belongs to. */
interface Scope {
  readonly record: TracedRecord
  readonly spanId: string
}

/** Bits of the trace flags (W3C Trace Context Level 2, section 3.2.2.5). */
const SAMPLED = 1
const RANDOM = 2
const RANDOM_DIGITS = 14
const SPAN_DIGITS = 16

export function createTracing(sink: SpanSink, firstShare: number): Tracing {
  const nextSpanId = createSpanIds()
  const spans = { sink, nextSpanId }
  const scopes = new AsyncLocalStorage<Scope>()
  let threshold = thresholdOf(firstShare)

  const openRecord: OpenRecord = (init, headers, peer) => {
    const read = headers instanceof ApiError ? null : headers
    // Only that of a trusted proxy was read.
    const parent = read?.traceparent
    const traceId = init.traceparent.slice(3, 35)
    const flags = parent === undefined ? SAMPLED : Number.parseInt(parent.slice(53), 16)
    const isSampled = parent === undefined ? isChosen(traceId) : (flags & SAMPLED) !== 0
    if (!isSampled) {
      const record = new RequestRecord(init)
      if (parent === undefined) record.traceparent = `${init.traceparent.slice(0, -2)}00`
      return record
    }
    const spanId = parent === undefined ? init.traceparent.slice(36, 52) : nextSpanId()
    const parentId = parent === undefined ? '' : parent.slice(36, 52)
    const state = parent === undefined || read === null ? '' : stateIn(read)
    const trace = { traceId, spanId, parentId, state, flags: (flags & RANDOM) === 0 ? '01' : '03' }
    const scheme = read?.forwardedProto ?? peer.proto
    const origin = { scheme, host: read?.host ?? '', peerAddress: peer.address }
    return new TracedRecord(init, trace, origin, spans)
  }

  /** Equal trace ids give equal decisions everywhere (W3C Trace Context Level 2, section 5.2). */
  function isChosen(traceId: string): boolean {
    return traceId.slice(-RANDOM_DIGITS) >= threshold
  }

  function openCall(trace: TraceContext, parentId: string, call: TracedCall): CallSpan {
    const spanId = nextSpanId()
    const startedAt = performance.now()
    return {
      traceparent: traceparentOf(trace, spanId),
      ended(status, failure) {
        const ended = { spanId, startedAt, endedAt: performance.now() }
        sink.attemptEnded(trace, parentId, { ...ended, ...call, status, failure })
      }
    }
  }

  const tracer: Tracer = {
    async step(name, work) {
      const scope = scopes.getStore()
      if (scope === undefined) return work()
      const { record, spanId: parentId } = scope
      const spanId = record.newSpanId()
      const startedAt = performance.now()
      const end = (failure: string) =>
        sink.stepEnded(record.trace, parentId, { name, spanId, startedAt, endedAt: performance.now(), failure })
      try {
        const result = await scopes.run({ record, spanId }, work)
        end('')
        return result
      } catch (error) {
        end(error instanceof ApiError ? error.code : 'internal_error')
        throw error
      }
    },
    calls() {
      const scope = scopes.getStore()
      return scope === undefined ? null : (call) => openCall(scope.record.trace, scope.spanId, call)
    },
    callsAfter(traceparent) {
      const trace = sampledContext(traceparent)
      return trace && ((call) => openCall(trace, trace.spanId, call))
    }
  }

  return {
    openRecord,
    tracer,
    named(message, endpoint) {
      const record = tracedRecord(message)
      if (record !== null) record.endpoint = endpoint
    },
    around(message, handler) {
      const record = tracedRecord(message)
      if (record === null) handler()
      else scopes.run({ record, spanId: record.trace.spanId }, handler)
    },
    current() {
      const scope = scopes.getStore()
      return scope === undefined ? null : { traceId: scope.record.trace.traceId, spanId: scope.spanId }
    },
    sample(share) {
      threshold = thresholdOf(share)
    }
  }
}

/** The context that the gateway itself wrote, if it is sampled. */
function sampledContext(traceparent: string): TraceContext | null {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[13])$/.exec(traceparent)
  if (match === null) return null
  const [, traceId = '', spanId = '', flags = ''] = match
  return { traceId, spanId, parentId: '', state: '', flags }
}

function tracedRecord(message: IncomingMessage): TracedRecord | null {
  const record = message instanceof GatewayRequest ? message.record : null
  return record instanceof TracedRecord ? record : null
}

function createSpanIds(): () => string {
  const nextIds = createTraceIds()
  let ids = ''
  let at = 0
  return () => {
    if (at === ids.length) {
      ids = nextIds()
      at = 0
    }
    at += SPAN_DIGITS
    return ids.slice(at - SPAN_DIGITS, at)
  }
}

/** The least value of the last 14 digits of a chosen trace id. */
function thresholdOf(share: number): string {
  const rejected = Math.round((1 - share) * 2 ** 52)
  // Greater than every text of digits.
  if (rejected === 2 ** 52) return 'g'
  return (BigInt(rejected) << 4n).toString(16).padStart(RANDOM_DIGITS, '0')
}

function stateIn({ kept }: RequestHeaders): string {
  for (let index = 0; index + 1 < kept.length; index += 2) {
    if (kept[index]?.toLowerCase() === 'tracestate') return kept[index + 1] ?? ''
  }
  return ''
}
