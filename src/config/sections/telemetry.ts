/** `telemetry`: traces, metrics and log lines for an OpenTelemetry collector. */
import { isLoopback } from '../../http/addresses.ts'
import type { Static } from '../../schema.ts'
import { Type } from '../../schema.ts'
import { headerValueFault } from '../header-value.ts'
import type { DeepReadonly, Draft, RuleContext } from '../section.ts'
import { duration, flag, mapping, matching, secretHeaders, section, text } from '../terms.ts'
import { milliseconds } from '../units.ts'

export const telemetry = section('OpenTelemetry. Without `otlp`, nothing of it is loaded.', {
  otlp: Type.Optional(
    mapping('A collector that is reached by OTLP over HTTP, with JSON.', {
      endpoint: text(
        'Its URL, such as `http://10.0.0.7:4318`; `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended.'
      ),
      headers: secretHeaders('Sent with every export, such as `Authorization`.'),
      sample: matching(
        'Share of the requests that get a trace. A `traceparent` of a trusted proxy decides instead.',
        '^(100|[1-9]?[0-9](\\.[0-9]{1,3})?)%$',
        'a percentage such as 10% or 0.5%',
        '10%'
      ),
      metrics: flag('Exports the metrics of /metrics.', true),
      interval: duration('Time between two exports of the metrics.', '1m', { min: '1s', max: '1h' }),
      logs: flag('Exports the lines of the log, the access log included.', false)
    })
  )
})

export type TelemetryDraft = Draft<{ telemetry: Static<typeof telemetry> }>

export type OtlpConfig = NonNullable<DeepReadonly<ReturnType<typeof resolveTelemetry>>['otlp']>

/** Headers that the export itself sets, or its HTTP client refuses. */
const OWN_HEADERS: ReadonlySet<string> = new Set(
  'host connection keep-alive upgrade expect content-length content-type content-encoding transfer-encoding'.split(' ')
)

export function checkTelemetry({ telemetry }: TelemetryDraft, { report }: RuleContext): void {
  const { endpoint, headers } = telemetry?.otlp ?? {}
  const path = ['telemetry', 'otlp']
  if (endpoint !== undefined) {
    if (!/^https?:\/\/[^\s\\?#@]+$/.test(endpoint) || !URL.canParse(endpoint)) {
      const hint = 'write http://10.0.0.7:4318; credentials belong in headers'
      report.error([...path, 'endpoint'], 'must be an http or https URL without credentials, query and fragment', hint)
    } else {
      const { hostname, pathname, protocol, port } = new URL(endpoint)
      if (/\/v1\/(?:traces|metrics|logs)\/?$/.test(pathname))
        report.error([...path, 'endpoint'], 'must be the base of the collector', 'leave /v1/… out: it is appended')
      if (port === '4317')
        report.warn([...path, 'endpoint'], '4317 is the usual port of OTLP over gRPC', 'OTLP over HTTP has port 4318')
      const hasHeaders = headers !== undefined && Object.keys(headers).length > 0
      if (protocol === 'http:' && hasHeaders && !isLoopback(hostname))
        report.warn([...path, 'headers'], 'the headers travel in clear to the collector', 'use https')
    }
  }
  for (const [name, value] of Object.entries(headers ?? {})) {
    const place = [...path, 'headers', name]
    const fault = value === undefined ? null : headerValueFault(value)
    if (OWN_HEADERS.has(name.toLowerCase())) report.error(place, 'is set by the gateway', undefined, 'key')
    else if (fault !== null) report.error(place, fault)
  }
}

export function resolveTelemetry({ otlp }: Static<typeof telemetry>) {
  return {
    /** Null: nothing is exported. */
    otlp:
      otlp === undefined
        ? null
        : {
            /** Without a slash at its end. */
            endpoint: otlp.endpoint.replace(/\/+$/, ''),
            headers: otlp.headers,
            /** From 0 to 1. */
            sample: Number.parseFloat(otlp.sample) / 100,
            metrics: otlp.metrics,
            intervalMs: milliseconds(otlp.interval),
            logs: otlp.logs
          }
  }
}
