/** One line per request: what was asked, what was decided and why, how long it took. No query, no header, no token. */
import type { LoggingConfig } from '../config/config.ts'
import type { RequestContext } from '../http/record.ts'
import type { Output } from './output.ts'

export interface AccessLog {
  write(context: RequestContext, url: string, status: number): void
}

const LONGEST_PATH = 300

export function createAccessLog(config: LoggingConfig, output: Output, isTerminal: boolean): AccessLog {
  if (!config.access || config.level === 'silent') return { write() {} }
  const format = { json: formatJson, pretty: formatPretty, combined: formatCombined }[
    config.format ?? (isTerminal ? 'pretty' : 'json')
  ]
  return {
    write(context, url, status) {
      output.write(format(context, pathOf(context, url), status, performance.now() - context.startedAt))
    }
  }
}

/** The canonical path, which holds no character that JSON would escape; of a refused target, a safe picture. */
function pathOf(context: RequestContext, url: string): string {
  const path = context.target === null ? url.split('?', 1)[0]?.replace(/[^\x21-\x7e]|["\\]/g, '?') : context.target.path
  return path === undefined ? '' : path.slice(0, LONGEST_PATH)
}

function formatJson(context: RequestContext, path: string, status: number, ms: number): string {
  const { route, principal } = context
  let line = `{"level":30,"time":${Date.now()},"msg":"request","method":"${context.method}","path":"${path}"`
  line += `,"route":"${route === null ? 'none' : route.path}","status":${status},"ms":${ms.toFixed(2)}`
  if (context.upstreamTime >= 0) line += `,"upstream_ms":${context.upstreamTime.toFixed(2)}`
  line += `,"granted":${context.isGranted},"reason":"${context.reason}","client":"${context.clientAddress}"`
  if (principal !== null) line += `,"app":"${principal.appId}","user":"${principal.userId}"`
  return `${line},"request_id":"${context.requestId}"}\n`
}

function formatPretty(context: RequestContext, path: string, status: number, ms: number): string {
  const time = new Date().toTimeString().slice(0, 8)
  const who = context.principal === null ? '' : ` ${context.principal.userId}`
  const granted = context.isGranted ? 'granted' : 'refused'
  return `[${time}] ${status} ${context.method} ${path} → ${context.route?.upstream ?? 'wxgate'} ${ms.toFixed(1)}ms ${granted}: ${context.reason}${who}\n`
}

/** The Combined Log Format of Apache httpd, without the headers that clients choose. */
function formatCombined(context: RequestContext, path: string, status: number): string {
  // Thu, 26 Nov 2026 02:46:09 GMT
  const [, day, month, year, clock] = new Date().toUTCString().split(' ')
  const time = `${day}/${month}/${year}:${clock} +0000`
  return `${context.clientAddress} - ${context.principal?.userId ?? '-'} [${time}] "${context.method} ${path} HTTP/1.1" ${status} - "-" "-"\n`
}
