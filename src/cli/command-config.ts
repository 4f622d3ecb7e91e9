/** The command line of a command that takes a configuration and no other argument. */
import { parseArgs } from 'node:util'
import type { LoadResult } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { type ConfigArguments, configFile, configOptions } from './config-arguments.ts'
import type { CliIo } from './io.ts'
import { refuseCommandLine, WRONG_USAGE } from './usage.ts'

type Loaded = Extract<LoadResult, { ok: true }>

export interface ConfigCommand {
  readonly name: string
  readonly usage: string
  readonly args: readonly string[]
  readonly io: CliIo
  /** May throw for a wrong command line. */
  readonly load: (values: ConfigArguments) => LoadResult | Promise<LoadResult>
}

export interface CommandConfig {
  readonly values: ConfigArguments
  /** As on the command line. */
  readonly name: string
  readonly loaded: Loaded
}

/** Gives the exit status for `--help`, a wrong command line, and an invalid configuration, whose
 *  problems it prints. */
export async function readCommandConfig({
  name,
  usage,
  args,
  io,
  load
}: ConfigCommand): Promise<CommandConfig | number> {
  try {
    const options = { ...configOptions, help: { type: 'boolean', short: 'h' } } as const
    const { values } = parseArgs({ args: [...args], options })
    if (values.help) {
      io.stdout(usage)
      return 0
    }
    const loaded = await load(values)
    if (loaded.ok) return { values, name: configFile(values, io.env), loaded }
    for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`)
    for (const warning of loaded.warnings) io.stderr(`${formatProblem(warning)} [warning]\n`)
    return WRONG_USAGE
  } catch (error) {
    return refuseCommandLine(name, error, usage, io)
  }
}
