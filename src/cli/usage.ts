/** What is said of a command line that is wrong. */
import type { CliIo } from './io.ts'

/** The exit status for a command line or a configuration that is wrong. */
const WRONG = 2

export function refuseCommandLine(command: string, error: unknown, usage: string, io: CliIo): number {
  io.stderr(`wxgate ${command}: ${error instanceof Error ? error.message : 'wrong arguments'}\n\n${usage}`)
  return WRONG
}
