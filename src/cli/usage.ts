/** Answers a wrong command line. */
import { didYouMean } from '../config/problem.ts'
import type { CliIo } from './io.ts'

/** The exit status for a wrong command line or configuration. */
export const WRONG_USAGE = 2

export function refuseCommandLine(command: string, error: unknown, usage: string, io: CliIo): number {
  io.stderr(`wxgate ${command}: ${describe(error, usage)}\n\n${usage}`)
  return WRONG_USAGE
}

/** Adds the probable intention to the errors of node:util parseArgs. */
function describe(error: unknown, usage: string): string {
  if (!(error instanceof Error)) return 'wrong arguments'
  const code = 'code' in error ? error.code : undefined
  const [, argument = ''] = /'([^'\s]+)/.exec(error.message) ?? []
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
    const isFile = usage.includes('[-c FILE]') && /\.ya?ml$/.test(argument)
    return `unexpected argument '${argument}'${isFile ? `, name the file with -c ${argument}` : ''}`
  }
  const hint =
    code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? didYouMean(argument, new Set(usage.match(/--[a-z-]+/g))) : undefined
  return hint === undefined ? error.message : `unknown option '${argument}', ${hint}`
}
