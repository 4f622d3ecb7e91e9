/** Flags and variables that name the configuration, for every command that needs one. */
import { type LoadResult, loadConfig } from '../config/load.ts'
import { didYouMean } from '../config/problem.ts'
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

/** Flags beat the environment. Throws a {@link UsageError} for an unknown allowance. */
export function loadConfigFrom({ config, allow }: ConfigArguments, { env, cwd }: CliIo): LoadResult {
  return loadConfig({
    file: configFile({ config }, env),
    cwd,
    env,
    production: env.NODE_ENV === 'production',
    allow: new Set(readAllowances(allow?.join(',') ?? env.WXGATE_ALLOW ?? ''))
  })
}

export function configFile({ config }: ConfigArguments, env: CliIo['env']): string {
  return config ?? (env.WXGATE_CONFIG || 'gateway.yaml')
}

export class UsageError extends Error {}

/** `sandbox,memory-store` */
export function readAllowances(text: string): Allowance[] {
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
