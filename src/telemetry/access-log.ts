/** Writes one line per request: request, decision, reason, duration. No query and no token; no
 *  header but User-Agent and Referer, if they were asked for. */
import { clientText, quotedText, refererText } from './client-text.ts'
import type { Output } from './output.ts'

/** A finished request. */
export interface LoggedRequest {
  readonly requestId: string
  readonly method: string
  /** Without characters that JSON escapes. */
  readonly path: string
  readonly clientAddress: string
  readonly route: { readonly path: string; readonly upstream: string } | null
  readonly principal: { readonly appId: string; readonly userId: string } | null
  readonly reason: string
  readonly isGranted: boolean
  /** Milliseconds to the head of the upstream's answer, or -1. */
  readonly upstreamMs: number
  /** host:port, or the path of a socket, of the last target tried; empty for none. */
  readonly target: string
  readonly tries: number
  /** Of the answer's body. */
  readonly bytes: number
  readonly status: number
  readonly ms: number
  /** W3C Trace Context, section 3.2. */
  readonly traceparent: string
  /** Ids of the request's own span; absent without one. */
  readonly trace?: RequestIds
  /** Null: not recorded. */
  readonly client: { readonly userAgent: string; readonly referer: string } | null
}

export interface RequestIds {
  readonly traceId: string
  readonly spanId: string
}

export interface AccessLogParts {
  /** Default: `Math.random`. */
  readonly random?: () => number
  /** Takes each line in JSON, whatever the format of the output. */
  readonly copy?: ((line: string, ids: RequestIds) => void) | null
}

export interface AccessLog {
  finished(request: LoggedRequest): void
}

export interface AccessLogOptions {
  readonly level: string
  readonly access: boolean
  /** Null: pretty on a terminal, else json. */
  readonly format: 'json' | 'pretty' | 'combined' | null
  /** Share of the successes that get a line, from 0 to 1. */
  readonly sample: number
}

/** One line for the log. */
type Format = (request: LoggedRequest, path: string) => string

const LONGEST_PATH = 300
/** Levels of pino. */
const INFO = 30
const WARN = 40

export function createAccessLog(
  options: AccessLogOptions,
  output: Pick<Output, 'write'>,
  isTerminal: boolean,
  { random = Math.random, copy = null }: AccessLogParts = {}
): AccessLog {
  if (!options.access || options.level === 'silent') return { finished() {} }
  const formats = { json: createJsonFormat(), pretty: formatPretty, combined: formatCombined }
  const written = formats[options.format ?? (isTerminal ? 'pretty' : 'json')]
  const format = copy === null ? written : copied(written, formats.json, copy)
  const { sample } = options
  return {
    finished(request) {
      if (sample < 1 && isSuccess(request) && random() >= sample) return
      const { path } = request
      output.write(format(request, path.length > LONGEST_PATH ? path.slice(0, LONGEST_PATH) : path))
    }
  }
}

/** Also gives each line to `copy`. */
function copied(format: Format, formatJson: Format, copy: NonNullable<AccessLogParts['copy']>): Format {
  return (request, path) => {
    const line = format(request, path)
    const { trace, traceparent } = request
    const ids = trace ?? { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52) }
    copy(format === formatJson ? line : formatJson(request, path), ids)
    return line
  }
}

/** Targets whose text is kept. Reloads change targets: beyond this, all texts are made again. */
const MAX_TRIED = 1_000

/** Joins few and long parts: the cost of a line is the number of its parts. */
function createJsonFormat(): Format {
  const tried = new Map<string, { readonly upstream: string; readonly text: string }>()
  let second = 0
  let start = ''
  let failureStart = ''

  /** The line up to the method. Milliseconds come from a table: formatting a time costs more than
   *  the rest of the line. */
  function startAt(time: number, hasFailed: boolean): string {
    const seconds = Math.floor(time / 1000)
    if (seconds !== second) {
      second = seconds
      start = `{"level":${INFO},"time":${seconds}`
      failureStart = `{"level":${WARN},"time":${seconds}`
    }
    return `${hasFailed ? failureStart : start}${AFTER_SECONDS[time - seconds * 1000]}`
  }

  function triedAt(upstream: string, { target, tries }: LoggedRequest): string {
    const known = tried.get(target)
    if (tries === 1 && known?.upstream === upstream) return known.text
    const text = `,"upstream":"${upstream}","target":${JSON.stringify(target)},"tries":${tries}`
    if (tries > 1) return text
    if (tried.size >= MAX_TRIED) tried.clear()
    tried.set(target, { upstream, text })
    return text
  }

  return (request, path) => {
    const { route, principal, upstreamMs } = request
    const hasFailed = isFailure(request)
    let line = `${startAt(Date.now(), hasFailed)}${request.method}","path":"${path}","route":"`
    line += `${route === null ? 'none' : route.path}","status":${request.status},"ms":${hundredths(request.ms)}`
    if (upstreamMs >= 0) line += `,"upstream_ms":${hundredths(upstreamMs)}`
    if (route !== null) line += `,"bytes":${request.bytes}`
    if (route !== null && request.tries > 0) line += triedAt(route.upstream, request)
    else if (route !== null && hasFailed) line += `,"upstream":"${route.upstream}"`
    line += `${request.isGranted ? GRANTED : REFUSED}${request.reason}","client":"${request.clientAddress}`
    if (principal !== null) line += `","app":"${principal.appId}","user":"${principal.userId}`
    if (request.client !== null) line += describedClient(request.client)
    return `${line}","request_id":"${request.requestId}"}\n`
  }
}

const AFTER_SECONDS = Array.from({ length: 1000 }, (_, ms) => {
  return `${String(ms).padStart(3, '0')},"msg":"request","method":"`
})

const GRANTED = ',"granted":true,"reason":"'
const REFUSED = ',"granted":false,"reason":"'

const FRACTIONS = Array.from({ length: 100 }, (_, hundredth) => `.${String(hundredth).padStart(2, '0')}`)

/** Two digits behind the point, at a fifth of the cost of toFixed. */
function hundredths(ms: number): string {
  const rounded = Math.round(ms * 100)
  const whole = Math.floor(rounded / 100)
  return `${whole}${FRACTIONS[rounded - whole * 100]}`
}

/** Ends within a text, as the line before and after it does. */
function describedClient({ userAgent, referer }: NonNullable<LoggedRequest['client']>): string {
  const [agent, place] = [clientText(userAgent), refererText(referer)].map((text) => JSON.stringify(text).slice(0, -1))
  return `","user_agent":${agent}","referer":${place}`
}

function isSuccess(request: LoggedRequest): boolean {
  return request.isGranted && request.status < 400 && !isFailure(request)
}

/** The gateway or the upstream failed. */
function isFailure({ status, reason }: LoggedRequest): boolean {
  return status >= 500 || reason.startsWith('upstream_')
}

function formatPretty(request: LoggedRequest, path: string): string {
  const { status, method, route, ms, isGranted, reason, principal, target, tries } = request
  const time = new Date().toTimeString().slice(0, 8)
  const who = principal === null ? '' : ` ${principal.userId}`
  const tried = tries > 0 && isFailure(request) ? ` (${target}, ${tries === 1 ? '1 try' : `${tries} tries`})` : ''
  const granted = isGranted ? 'granted' : 'refused'
  return `[${time}] ${status} ${method} ${path} → ${route?.upstream ?? 'wxgate'}${tried} ${ms.toFixed(1)}ms ${granted}: ${reason}${who}\n`
}

/** The Combined Log Format of Apache httpd. */
function formatCombined(
  { clientAddress, principal, method, status, bytes, client }: LoggedRequest,
  path: string
): string {
  // Thu, 26 Nov 2026 02:46:09 GMT
  const [, day, month, year, clock] = new Date().toUTCString().split(' ')
  const time = `${day}/${month}/${year}:${clock} +0000`
  const referer = quotedText(refererText(client?.referer ?? ''))
  const agent = quotedText(clientText(client?.userAgent ?? ''))
  return `${clientAddress} - ${principal?.userId ?? '-'} [${time}] "${method} ${path} HTTP/1.1" ${status} ${bytes || '-'} ${referer} ${agent}\n`
}
