/** For commands whose only argument is --help. */
import { parseArgs } from 'node:util'
import type { CliIo } from './io.ts'
import { refuseCommandLine } from './usage.ts'

/** The exit status when the command has nothing more to do: after --help or an unknown argument. */
export function refuseArguments(command: string, usage: string, args: readonly string[], io: CliIo): number | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h', default: false } }
    })
    if (!values.help) return null
    io.stdout(usage)
    return 0
  } catch (error) {
    return refuseCommandLine(command, error, usage, io)
  }
}
