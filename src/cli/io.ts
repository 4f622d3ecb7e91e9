/** The parts of the process that a command may use. */
import type { LogTarget } from '../telemetry/output.ts'
import type { EndSignal } from './signals.ts'

export interface CliIo {
  /** Written unchanged: a line includes its newline. */
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** For commands that run until a signal. */
export interface ProcessIo extends CliIo {
  /** Standard output, for the log. */
  readonly log: LogTarget
  /** Calls `listener` at every SIGHUP. */
  onHangup(listener: () => void): void
  /** Calls `listener` for an uncaught error. Without a listener it ends the process. */
  onFault(listener: (error: unknown) => void): void
  /** Resolves at the next SIGTERM or SIGINT. */
  signalled(): Promise<EndSignal>
}
