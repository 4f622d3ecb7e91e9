/** Lines of the log as OTLP writes them: the text is the body, the other fields are attributes. */
import { attribute, escaped, nanoseconds } from './json.ts'

/** Ids of the request that a line is about. */
export interface LineContext {
  readonly traceId: string
  readonly spanId: string
}

/** Levels of pino, with their name and number in OTLP. */
const SEVERITIES: readonly (readonly [level: number, text: string, number: number])[] = [
  [60, 'FATAL', 21],
  [50, 'ERROR', 17],
  [40, 'WARN', 13],
  [30, 'INFO', 9],
  [20, 'DEBUG', 5],
  [0, 'TRACE', 1]
]

/** Null for a line that is not of the log.
 *  @param line JSON. */
export function logRecord(line: string, context: LineContext | null): string | null {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
  const { level, time, msg, ...rest } = fields
  const [, text, number] = SEVERITIES.find(([least]) => Number(level) >= least) ?? [0, 'TRACE', 1]
  const at = nanoseconds(Number(time) || Date.now())
  let json = `{"timeUnixNano":"${at}","observedTimeUnixNano":"${at}","severityNumber":${number}`
  json += `,"severityText":"${text}","body":{"stringValue":"${escaped(String(msg ?? ''))}"}`
  if (context !== null) json += `,"traceId":"${context.traceId}","spanId":"${context.spanId}"`
  return `${json},"attributes":[${Object.entries(rest).map(([name, value]) => attribute(name, value))}]}`
}
