/** `wxgate validate`: lists every fault of a configuration. Creates and changes nothing. */
import { parseArgs } from 'node:util'
import { writeFault } from '../config/files.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import { CONFIG_USAGE, configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { CliIo } from './io.ts'
import { refuseCommandLine } from './usage.ts'

const USAGE = `Usage: wxgate validate [-c FILE] [--strict] [--format text|json] [--allow NAME[,NAME]]

Checks a configuration and lists all its faults.

${CONFIG_USAGE}  --strict      warnings count as errors
  --format      text (default) or json
`

/** 0 for a valid file, 2 for an invalid file or command line. */
export async function run(args: readonly string[], io: CliIo): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...configOptions,
        strict: { type: 'boolean', default: false },
        format: { type: 'string', default: 'text' },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    if (values.format !== 'text' && values.format !== 'json') throw new Error('--format must be text or json')
    const file = configFile(values, io.env)
    const result = loadConfigFrom(values, io, { writeFault })
    const errors = result.ok ? [] : result.problems
    const isValid = result.ok && !(values.strict && result.warnings.length > 0)
    if (values.format === 'json') writeJson(io, isValid, errors, result.warnings)
    else writeText(io, file, isValid, errors, result.warnings)
    return isValid ? 0 : 2
  } catch (error) {
    return refuseCommandLine('validate', error, USAGE, io)
  }
}

function writeText(
  io: CliIo,
  file: string,
  isValid: boolean,
  errors: readonly Problem[],
  warnings: readonly Problem[]
): void {
  for (const error of errors) io.stderr(`${formatProblem(error)}\n`)
  for (const warning of warnings) io.stderr(`${formatProblem(warning)} [warning]\n`)
  if (isValid)
    io.stdout(`${file} is valid${warnings.length > 0 ? `, with ${count(warnings.length, 'warning')}` : ''}\n`)
  else io.stderr(`${file} is not valid: ${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}\n`)
}

function writeJson(io: CliIo, isValid: boolean, errors: readonly Problem[], warnings: readonly Problem[]): void {
  const problems = [
    ...errors.map((problem) => ({ severity: 'error', ...problem })),
    ...warnings.map((problem) => ({ severity: 'warning', ...problem }))
  ]
  io.stdout(`${JSON.stringify({ valid: isValid, problems }, null, 2)}\n`)
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
