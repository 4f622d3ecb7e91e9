/** The process as OpenTelemetry describes it (`service.*`, `telemetry.sdk.*`). */
import { hostname } from 'node:os'
import { textAttribute } from './json.ts'

export interface ResourceOptions {
  readonly version: string
  /** Different for every process. */
  readonly instanceId: string
  /** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A resource in JSON. */
export function describeResource({ version, instanceId, env }: ResourceOptions): string {
  const attributes: Record<string, string> = {
    'service.name': 'wxgate',
    'service.version': version,
    'service.instance.id': instanceId,
    'host.name': hostname(),
    ...readAttributes(env.OTEL_RESOURCE_ATTRIBUTES ?? ''),
    ...(env.OTEL_SERVICE_NAME ? { 'service.name': env.OTEL_SERVICE_NAME } : {}),
    'telemetry.sdk.name': 'wxgate',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.version': version
  }
  const list = Object.entries(attributes).map(([name, value]) => textAttribute(name, value))
  return `{"attributes":[${list.join(',')}]}`
}

/** `key=value,key=value` with percent-encoded values (OpenTelemetry specification, "Resource
 *  SDK"). A part that is not valid is left out. */
function readAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*([\w.-]+)\s*=\s*(.*?)\s*$/.exec(part) ?? []
    if (name === undefined || value === undefined) continue
    try {
      attributes[name] = decodeURIComponent(value)
    } catch {}
  }
  return attributes
}
