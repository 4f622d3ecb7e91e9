/** Spans as OTLP writes them, with the names of OpenTelemetry's conventions for HTTP. No query, no
 *  header but Host and User-Agent, no identity. */
import { clientText } from '../client-text.ts'
import { attribute, escaped, integerAttribute, LONGEST_TEXT, nanoseconds, textAttribute } from './json.ts'

export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly state: string
}

/** A request of the edge that is over. Times are those of `performance.now()`. */
export interface TracedRequest {
  readonly trace: TraceContext
  readonly origin: { readonly scheme: string; readonly host: string; readonly peerAddress: string }
  readonly startedAt: number
  readonly ms: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly route: { readonly path: string; readonly upstream: string } | null
  /** The template of an own endpoint's path; empty for none. */
  readonly endpoint: string
  readonly reason: string
  readonly isGranted: boolean
  readonly status: number
  readonly clientAddress: string
  readonly client: { readonly userAgent: string } | null
}

interface SpanTimes {
  readonly spanId: string
  readonly startedAt: number
  readonly endedAt: number
}

export interface AttemptSpan extends SpanTimes {
  readonly url: string
  readonly path: string
  readonly method: string
  readonly resends: number
  readonly status: number
  readonly failure: string
}

export interface StepSpan extends SpanTimes {
  readonly name: string
  readonly failure: string
}

export interface Spans {
  requestEnded(request: TracedRequest): void
  callerJudged(request: TracedRequest, span: SpanTimes): void
  attemptEnded(trace: TraceContext, parentId: string, span: AttemptSpan): void
  stepEnded(trace: TraceContext, parentId: string, span: StepSpan): void
}

export interface SpansOptions {
  /** Takes a span in JSON. */
  readonly add: (json: string) => void
  /** Milliseconds since 1970 at 0 of `performance.now()`.
   *  @param now About now, in its time. */
  readonly epoch: (now: number) => number
}

/** Values of `kind`. */
const INTERNAL = 1
const SERVER = 2
const CLIENT = 3
const ERROR_STATUS = ',"status":{"code":2}}'
/** RFC 9110, section 9, and RFC 5789. Other methods count as one (`http.request.method`). */
const METHODS: ReadonlySet<string> = new Set('GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH'.split(' '))
const LONGEST_PATH = 300
/** Targets whose attributes are kept as text. */
const MAX_TARGETS = 1_000

export function createSpans({ add, epoch }: SpansOptions): Spans {
  const targets = new Map<string, Target>()
  const routes = new WeakMap<object, string>()

  function targetOf(url: string): Target {
    let target = targets.get(url)
    if (target === undefined) {
      if (targets.size >= MAX_TARGETS) targets.clear()
      target = describeTarget(url)
      targets.set(url, target)
    }
    return target
  }

  /** The attributes of a request's route, with a comma in front. */
  function routeAttributes({ route, endpoint }: TracedRequest): string {
    if (route === null) return endpoint === '' ? '' : `,${textAttribute('http.route', endpoint)}`
    let known = routes.get(route)
    if (known === undefined) {
      known = `,${textAttribute('http.route', route.path)},${textAttribute('wxgate.upstream', route.upstream)}`
      routes.set(route, known)
    }
    return known
  }

  function start(trace: TraceContext, parentId: string, name: string, kind: number, span: SpanTimes): string {
    const since = epoch(span.endedAt)
    let json = `{"traceId":"${trace.traceId}","spanId":"${span.spanId}"`
    if (parentId !== '') json += `,"parentSpanId":"${parentId}"`
    const state = shortState(trace.state)
    if (state !== '') json += `,"traceState":"${escaped(state)}"`
    json += `,"name":"${name}","kind":${kind},"startTimeUnixNano":"${nanoseconds(since + span.startedAt)}"`
    return `${json},"endTimeUnixNano":"${nanoseconds(since + span.endedAt)}","attributes":[`
  }

  return {
    requestEnded(request) {
      const { trace, origin, startedAt, status, reason, client } = request
      const name = nameOf(request)
      const times = { spanId: trace.spanId, startedAt, endedAt: startedAt + request.ms }
      let json = start(trace, trace.parentId, escaped(name), SERVER, times)
      json += `${methodAttribute(request.method)},${textAttribute('url.path', request.path.slice(0, LONGEST_PATH))}`
      json += `,{"key":"url.scheme","value":{"stringValue":"${origin.scheme === 'https' ? 'https' : 'http'}"}}`
      json += `,{"key":"http.response.status_code","value":{"intValue":"${status}"}}`
      json += routeAttributes(request)
      if (origin.host !== '') json += `,${serverAttributes(origin.host)}`
      json += `,{"key":"network.peer.address","value":{"stringValue":"${origin.peerAddress}"}}`
      json += `,{"key":"client.address","value":{"stringValue":"${request.clientAddress}"}}`
      json += `,{"key":"wxgate.reason","value":{"stringValue":"${escaped(reason)}"}}`
      if (client !== null && client.userAgent !== '')
        json += `,${textAttribute('user_agent.original', clientText(client.userAgent))}`
      if (status < 500) add(`${json}]}`)
      else add(failed(json, isErrorWord(request) ? reason : String(status)))
    },

    callerJudged({ trace, reason, isGranted }, span) {
      const json = start(trace, trace.spanId, 'authenticate', INTERNAL, span)
      add(`${json}${textAttribute('wxgate.reason', reason)},${attribute('wxgate.granted', isGranted)}]}`)
    },

    attemptEnded(trace, parentId, span) {
      const { url, path, method, resends, status, failure } = span
      const target = targetOf(url)
      const name = METHODS.has(method) ? method : 'HTTP'
      let json = start(trace, parentId, name, CLIENT, span)
      json += `${methodAttribute(method)}${target.attributes}`
      if (target.base !== '') json += `,${textAttribute('url.full', target.base + withoutQuery(path))}`
      if (status !== 0) json += `,{"key":"http.response.status_code","value":{"intValue":"${status}"}}`
      if (resends > 0) json += `,${integerAttribute('http.request.resend_count', resends)}`
      if (failure === '' && status < 400) add(`${json}]}`)
      else add(failed(json, failure === '' ? String(status) : failure))
    },

    stepEnded(trace, parentId, { name, failure, ...span }) {
      const json = start(trace, parentId, name, INTERNAL, span)
      if (failure === '') add(`${json}]}`)
      else add(`${json}${textAttribute('error.type', failure)}]${ERROR_STATUS}`)
    }
  }
}

/** A target as attributes. */
interface Target {
  /** With the comma in front. */
  readonly attributes: string
  /** The start of `url.full`; empty for a Unix socket. */
  readonly base: string
}

function describeTarget(url: string): Target {
  const { protocol, hostname, port, pathname, origin } = new URL(url)
  if (protocol === 'unix:') return { attributes: `,${textAttribute('server.address', pathname)}`, base: '' }
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  const attributes = `,${textAttribute('server.address', bare(hostname))},${integerAttribute('server.port', number)}`
  return { attributes, base: origin + pathname.replace(/\/+$/, '') }
}

/** `server.address` and `server.port` of a Host. */
function serverAttributes(host: string): string {
  const [, name = host, port] = /^(.*?)(?::(\d{1,5}))?$/.exec(host) ?? []
  const address = textAttribute('server.address', bare(name))
  return port === undefined ? address : `${address},${integerAttribute('server.port', Number(port))}`
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function methodAttribute(method: string): string {
  return `{"key":"http.request.method","value":{"stringValue":"${METHODS.has(method) ? method : '_OTHER'}"}}`
}

function routeOf({ route, endpoint }: TracedRequest): string {
  return route === null ? endpoint : route.path
}

function nameOf(request: TracedRequest): string {
  const method = METHODS.has(request.method) ? request.method : 'HTTP'
  const route = routeOf(request)
  return route === '' ? method : `${method} ${route}`
}

/** The reason is the cause of a failure. */
function isErrorWord({ isGranted, reason }: TracedRequest): boolean {
  return !isGranted || reason.startsWith('upstream_') || reason.endsWith('_error')
}

/** The span of a failure. Its cause, behind a ":", is left out: `error.type` has few values. */
function failed(json: string, failure: string): string {
  const end = failure.indexOf(':')
  const type = end < 0 ? failure : failure.slice(0, end)
  return `${json},${textAttribute('error.type', type)}]${ERROR_STATUS}`
}

/** A `tracestate` of at most 512 characters: whole members are left out at its end (W3C Trace
 *  Context, section 3.3.1). */
function shortState(state: string): string {
  return state.length <= LONGEST_TEXT ? state : state.slice(0, Math.max(0, state.lastIndexOf(',', LONGEST_TEXT)))
}

function withoutQuery(path: string): string {
  const end = path.indexOf('?')
  return (end < 0 ? path : path.slice(0, end)).slice(0, LONGEST_PATH)
}
