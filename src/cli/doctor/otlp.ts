/** Checks that the collector of `telemetry.otlp` takes exports, and asks a running gateway which
 *  exports were lost. */
import { Agent, request } from 'undici'
import type { OtlpConfig } from '../../config/config.ts'
import { reasonOf } from '../../errors.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

export interface OtlpCheck {
  /** Null without a collector. */
  readonly otlp: Pick<OtlpConfig, 'endpoint' | 'headers'> | null
  /** The metrics of a gateway that may run on this machine. */
  readonly metricsUrl: string
}

const TIMEOUT_MS = 3_000
const SUBJECT = 'telemetry.otlp'
const LOST = /^wxgate_otlp_items_total\{[^}]*result="(?:failed|full|rejected)"[^}]*\} (\d+)$/gm

export async function checkOtlp({ otlp, metricsUrl }: OtlpCheck): Promise<Finding[]> {
  if (otlp === null) return []
  const [collector, lost] = await Promise.all([askCollector(otlp), countLost(metricsUrl)])
  if (lost === 0) return [collector]
  const advice = 'the log has a line otlp_failed with the cause; see wxgate_otlp_items_total'
  return [collector, warning(SUBJECT, `the running gateway has lost ${lost} spans, points or lines`, advice)]
}

/** An export without spans: a collector takes it and stores nothing. */
async function askCollector({ endpoint, headers }: NonNullable<OtlpCheck['otlp']>): Promise<Finding> {
  const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const answer = await ask(`${endpoint}/v1/traces`, {
    method: 'POST',
    headers: { ...own, 'content-type': 'application/json' },
    body: '{"resourceSpans":[]}'
  })
  if (typeof answer === 'string')
    return failed(
      SUBJECT,
      `the collector cannot be reached (${answer})`,
      'check the endpoint, and that it takes OTLP/HTTP'
    )
  const { status } = answer
  if (status >= 200 && status <= 299) return ok(SUBJECT, 'the collector takes exports')
  const advice =
    status === 401 || status === 403
      ? 'check telemetry.otlp.headers'
      : status === 404 || status === 405
        ? 'check the path of the endpoint: /v1/traces is appended'
        : 'see the log of the collector'
  return failed(SUBJECT, `the collector refuses an export (${status})`, advice)
}

/** 0 without a running gateway. */
async function countLost(url: string): Promise<number> {
  const answer = await ask(url, { method: 'GET', headers: {} })
  if (typeof answer === 'string' || answer.status !== 200) return 0
  return [...answer.text.matchAll(LOST)].reduce((sum, [, count]) => sum + Number(count), 0)
}

interface Asked {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** A word for the log when there is no answer. */
async function ask(url: string, asked: Asked): Promise<{ status: number; text: string } | string> {
  const isOwn = asked.method === 'GET'
  // The certificate of the service listener names another host, and this is the same machine.
  const dispatcher = new Agent({ connect: { timeout: TIMEOUT_MS, rejectUnauthorized: !isOwn } })
  try {
    const options = { ...asked, dispatcher, signal: AbortSignal.timeout(TIMEOUT_MS) }
    const { statusCode, body } = await request(url, options)
    return { status: statusCode, text: await body.text() }
  } catch (error) {
    return reasonOf(error)
  } finally {
    await dispatcher.destroy()
  }
}
