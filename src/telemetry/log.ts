/** The log: one JSON object per line, or lines for a person. */
import { type DestinationStream, type LevelWithSilent, type Logger, pino } from 'pino'
import { createOutput, type LogTarget, type Output } from './output.ts'

/** Fields must never hold a credential. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export interface LogOptions {
  readonly level: LevelWithSilent
  /** Null: pretty on a terminal, json elsewhere. */
  readonly format: 'json' | 'pretty' | 'combined' | null
}

/** Takes each line in JSON, whatever the format of the output. */
export type LineCopy = (line: string) => void

/** Opens the log of a process and its output for the access log. */
export async function openLog(
  options: LogOptions,
  target: LogTarget,
  copy: LineCopy | null = null
): Promise<{ log: Log; output: Output }> {
  const output = createOutput(target)
  const log = createLog(options, await formatLines(options, output, target.isTerminal), copy)
  output.onResumed((lines) => log.warn({ lines }, 'log lines were lost while the log could not be written'))
  return { log, output }
}

/** @param output Receives one JSON object per line. */
export function createLog(
  { level }: Pick<LogOptions, 'level'>,
  output: DestinationStream,
  copy: LineCopy | null = null
): Log {
  const options = { level, base: null, messageKey: 'msg', serializers: { err: serializeError } }
  return pino(options, copy === null ? output : copied(output, copy))
}

function copied(output: DestinationStream, copy: LineCopy): DestinationStream {
  return {
    write(line: string) {
      output.write(line)
      copy(line)
    }
  }
}

/** Puts the format in front of an output. Its code is loaded only where a person reads the lines.
 *  @param isTerminal True when a person reads the lines. */
export async function formatLines(
  options: Pick<LogOptions, 'format'>,
  output: DestinationStream,
  isTerminal: boolean
): Promise<DestinationStream> {
  if ((options.format ?? (isTerminal ? 'pretty' : 'json')) === 'json') return output
  const { default: pretty } = await import('pino-pretty')
  const format = pretty.prettyFactory({ colorize: isTerminal, translateTime: 'SYS:HH:MM:ss' })
  return { write: (line: string) => output.write(format(line)) }
}

/** Keeps the kind, the code and the frames of this program: messages of other packages can hold
 *  URLs with secrets. */
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
