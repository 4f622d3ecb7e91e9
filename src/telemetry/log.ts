/** The log: one JSON object a line to stdout, or something for a person to read. */
import { type DestinationStream, type Logger, pino } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LoggingConfig } from '../config/config.ts'
import type { Output } from './output.ts'

/** What the rest of the program may do with the log. Fields must never hold a credential. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

/** @param isTerminal Whether a person is likely to be reading. */
export function createLog(config: LoggingConfig, output: Output, isTerminal: boolean): Log {
  const options = { level: config.level, base: null, messageKey: 'msg', serializers: { err: serializeError } }
  const format = config.format ?? (isTerminal ? 'pretty' : 'json')
  return pino(options, format === 'json' ? output : prettyOutput(output, isTerminal))
}

function prettyOutput(output: Output, isTerminal: boolean): DestinationStream {
  const format = prettyFactory({ colorize: isTerminal, translateTime: 'SYS:HH:MM:ss' })
  return { write: (line: string) => output.write(format(line)) }
}

/** Messages and stacks of foreign errors can hold URLs with secrets in them: only the kind, the code and our own frames. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  const frames = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '))
  return {
    type: error.name,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.name === 'StoreError' || error.name === 'ApiError' ? { message: error.message } : {}),
    at: frames.slice(0, 4).map((line) => line.trim().replace(/\(?(?:file:\/\/)?\S*\/(src|dist|node_modules)\//, '($1/'))
  }
}
