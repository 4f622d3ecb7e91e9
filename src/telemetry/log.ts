/** The log: one JSON object a line, or lines for a person. */
import { type DestinationStream, type Logger, pino } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LoggingConfig } from '../config/config.ts'
import { createOutput, type LogTarget, type Output } from './output.ts'

/** Fields must never hold a credential. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

/** The log of a process, and its output for the access log. */
export function openLog(config: LoggingConfig, target: LogTarget): { log: Log; output: Output } {
  const output = createOutput(target)
  const log = createLog(config, output, target.isTerminal)
  output.onResumed((lines) => log.warn({ lines }, 'log lines were lost while the log could not be written'))
  return { log, output }
}

/** @param isTerminal Whether a person is likely to read the lines. */
export function createLog(config: LoggingConfig, output: DestinationStream, isTerminal: boolean): Log {
  const options = { level: config.level, base: null, messageKey: 'msg', serializers: { err: serializeError } }
  const format = config.format ?? (isTerminal ? 'pretty' : 'json')
  return pino(options, format === 'json' ? output : prettyOutput(output, isTerminal))
}

function prettyOutput(output: DestinationStream, isTerminal: boolean): DestinationStream {
  const format = prettyFactory({ colorize: isTerminal, translateTime: 'SYS:HH:MM:ss' })
  return { write: (line: string) => output.write(format(line)) }
}

/** Keeps the kind, the code and the frames of this program: messages of other packages can hold URLs with secrets. */
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
