/** Writes one line per request: request, decision, reason, duration. No query, header or token. */
import type { Output } from './output.ts'

/** A finished request. */
export interface LoggedRequest {
  readonly requestId: string
  readonly method: string
  /** Without characters that JSON escapes. */
  readonly path: string
  readonly clientAddress: string
  readonly route: { readonly path: string; readonly upstream: string; readonly isVariant?: true } | null
  readonly principal: { readonly appId: string; readonly userId: string } | null
  readonly reason: string
  readonly isGranted: boolean
  /** Milliseconds to the head of the upstream's answer, or -1. */
  readonly upstreamMs: number
  /** host:port of the last target tried; empty for none. */
  readonly target: string
  readonly tries: number
  /** Of the answer's body. */
  readonly bytes: number
  readonly status: number
  readonly ms: number
}

export interface AccessLog {
  finished(request: LoggedRequest): void
}

export interface AccessLogOptions {
  readonly level: string
  readonly access: boolean
  /** Null: pretty on a terminal, else json. */
  readonly format: 'json' | 'pretty' | 'combined' | null
}

const LONGEST_PATH = 300
/** Levels of pino. */
const INFO = 30
const WARN = 40

export function createAccessLog(
  options: AccessLogOptions,
  output: Pick<Output, 'write'>,
  isTerminal: boolean
): AccessLog {
  if (!options.access || options.level === 'silent') return { finished() {} }
  const formats = { json: formatJson, pretty: formatPretty, combined: formatCombined }
  const format = formats[options.format ?? (isTerminal ? 'pretty' : 'json')]
  return { finished: (request) => output.write(format(request, request.path.slice(0, LONGEST_PATH))) }
}

function formatJson(request: LoggedRequest, path: string): string {
  const { route, principal, upstreamMs } = request
  const hasFailed = isFailure(request)
  let line = `{"level":${hasFailed ? WARN : INFO},"time":${Date.now()},"msg":"request","method":"${request.method}","path":"${path}"`
  line += `,"route":"${route === null ? 'none' : route.path}","status":${request.status},"ms":${request.ms.toFixed(2)}`
  if (upstreamMs >= 0) line += `,"upstream_ms":${upstreamMs.toFixed(2)}`
  if (route !== null) line += `,"bytes":${request.bytes}`
  if (route !== null && (hasFailed || route.isVariant)) line += `,"upstream":"${route.upstream}"`
  if (request.tries > 0 && hasFailed) line += `,"target":"${request.target}","tries":${request.tries}`
  line += `,"granted":${request.isGranted},"reason":"${request.reason}","client":"${request.clientAddress}"`
  if (principal !== null) line += `,"app":"${principal.appId}","user":"${principal.userId}"`
  return `${line},"request_id":"${request.requestId}"}\n`
}

/** The gateway or the upstream failed. Such a line names the target, which no client learns. */
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

/** The Combined Log Format of Apache httpd, without the headers that clients choose. */
function formatCombined({ clientAddress, principal, method, status, bytes }: LoggedRequest, path: string): string {
  // Thu, 26 Nov 2026 02:46:09 GMT
  const [, day, month, year, clock] = new Date().toUTCString().split(' ')
  const time = `${day}/${month}/${year}:${clock} +0000`
  return `${clientAddress} - ${principal?.userId ?? '-'} [${time}] "${method} ${path} HTTP/1.1" ${status} ${bytes || '-'} "-" "-"\n`
}
