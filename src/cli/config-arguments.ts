/** Flags and variables that name the configuration, for every command that needs one. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type LoadOptions, type LoadResult, loadConfig } from '../config/load.ts'
import { didYouMean, type Problem, quote } from '../config/problem.ts'
import { type Allowance, allowances } from '../config/section.ts'
import type { CliIo } from './io.ts'

/** For `options` of node:util parseArgs. */
export const configOptions = {
  config: { type: 'string', short: 'c' },
  allow: { type: 'string', multiple: true }
} as const

export interface ConfigArguments {
  readonly config?: string | undefined
  readonly allow?: readonly string[] | undefined
}

/** Help for the two flags, for the usage text of a command. */
export const CONFIG_USAGE = `  -c, --config  the configuration (default: WXGATE_CONFIG, else gateway.yaml)
  --allow       settings that need permission by name (default: WXGATE_ALLOW):
                ${allowances.join(', ')}
`

/** Flags take precedence over the environment. Throws a {@link UsageError} for an unknown
 *  allowance.
 *  @param checks Checks besides those of every command. */
export function loadConfigFrom(
  { config, allow }: ConfigArguments,
  { env, cwd }: CliIo,
  checks: Pick<LoadOptions, 'writeFault'> = {}
): LoadResult {
  const file = configFile({ config }, env)
  const allowed = new Set(readAllowances(allow?.join(',') ?? env.WXGATE_ALLOW ?? ''))
  const isProduction = env.NODE_ENV === 'production'
  const result = loadConfig({ ...checks, file, cwd, env, production: isProduction, allow: allowed })
  const warnings = [...modeWarnings(env, file), ...result.warnings]
  if (result.ok || existsSync(resolve(cwd, file))) return { ...result, warnings }
  const hint = `looked for ${resolve(cwd, file)}: name another with -c FILE or WXGATE_CONFIG, or write one with wxgate init`
  return { ...result, warnings, problems: result.problems.map((problem) => ({ ...problem, hint })) }
}

const MODES = ['production', 'development', 'test']

/** A misspelt NODE_ENV would turn off the rules of production. */
function modeWarnings({ NODE_ENV: mode }: CliIo['env'], file: string): Problem[] {
  if (mode === undefined || mode === '' || MODES.includes(mode)) return []
  const message = `NODE_ENV is ${quote(mode)}, which is unknown: the rules of production do not apply`
  return [
    { file, line: 1, column: 1, path: '', message, hint: didYouMean(mode, MODES) ?? `known are ${MODES.join(', ')}` }
  ]
}

export function configFile({ config }: ConfigArguments, env: CliIo['env']): string {
  return config ?? (env.WXGATE_CONFIG || 'gateway.yaml')
}

class UsageError extends Error {}

/** `sandbox,memory-store` */
function readAllowances(text: string): Allowance[] {
  const names = text.split(',').map((name) => name.trim())
  return names
    .filter((name) => name !== '')
    .map((name) => {
      const known = allowances.find((allowance) => allowance === name)
      if (known !== undefined) return known
      const hint = didYouMean(name, allowances)
      throw new UsageError(`cannot allow ${JSON.stringify(name)}: ${hint ?? `there are ${allowances.join(', ')}`}`)
    })
}
