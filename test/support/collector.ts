/** An OpenTelemetry collector that records what it receives by OTLP over HTTP, in JSON. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Teardown } from './listen.ts'
import { startUpstream } from './upstream.ts'

type Attributes = readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]

interface WrittenSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Attributes
  readonly status?: { readonly code: number }
}

export interface ReceivedSpan extends Omit<WrittenSpan, 'attributes'> {
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface Received {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Collector {
  readonly url: string
  readonly requests: readonly Received[]
  /** Attributes are plain values. */
  spans(): ReceivedSpan[]
  /** The bodies of the requests to a path, parsed. */
  bodies(path: string): Record<string, unknown>[]
  /** Answers from now on; null: 200 and `{}`. */
  answer: ((res: ServerResponse) => void) | null
}

export async function startCollector(t: Teardown): Promise<Collector> {
  const requests: Received[] = []
  const { url } = await startUpstream(t, (_req, res, { url, headers, body }) => {
    requests.push({ url, headers, body })
    if (collector.answer === null) res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    else collector.answer(res)
  })
  const bodies = (path: string) =>
    requests.filter((one) => one.url === path).map(({ body }) => JSON.parse(body) as Record<string, unknown>)
  const collector: Collector = {
    url,
    requests,
    bodies,
    answer: null,
    spans: () => bodies('/v1/traces').flatMap((body) => listOf(body, 'Spans').map((span) => plain(span as WrittenSpan)))
  }
  return collector
}

/** The items of a request. `kind` is the end of the names: `Spans`, `Metrics`, `Logs`. */
export function listOf(body: Record<string, unknown>, kind: 'Spans' | 'Metrics' | 'Logs'): unknown[] {
  const list = { Spans: 'spans', Metrics: 'metrics', Logs: 'logRecords' }[kind]
  const resources = body[`resource${kind}`] as Record<string, Record<string, unknown[]>[]>[]
  return resources.flatMap((resource) => (resource[`scope${kind}`] ?? []).flatMap((scope) => scope[list] ?? []))
}

export function plainAttributes(attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.intValue === undefined ? Object.values(value)[0] : Number(value.intValue)
    ])
  )
}

function plain(span: WrittenSpan): ReceivedSpan {
  return { ...span, attributes: plainAttributes(span.attributes) }
}
