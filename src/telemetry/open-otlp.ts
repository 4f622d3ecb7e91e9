/** Loads the export to an OpenTelemetry collector, where one is configured. */
import type { Otlp, OtlpDeps, OtlpOptions } from './otlp/otlp.ts'

/** Null without `telemetry.otlp`: then no module of the export is loaded. */
export async function openOtlp(options: OtlpOptions | null, deps: OtlpDeps): Promise<Otlp | null> {
  if (options === null) return null
  const { createOtlp } = await import('./otlp/otlp.ts')
  return createOtlp(options, deps)
}
