/** What a rule about the meaning of the file gets to see. */
import type { ReadFile } from '../files.ts'
import type { Report } from '../report.ts'
import type { Draft, Written } from '../schema.ts'

/** What production refuses unless it is asked for by name. */
export const allowances = ['sandbox', 'generated-secrets', 'memory-store'] as const
export type Allowance = (typeof allowances)[number]

export interface RuleContext {
  readonly draft: Draft<Written>
  readonly report: Report
  readonly isProduction: boolean
  readonly allow: ReadonlySet<string>
  readonly directory: string
  readonly readFile: ReadFile
}

/** Rules bear with a file that is wrong elsewhere: what is missing or of a wrong type is undefined and was reported. */
export type Rule = (context: RuleContext) => void

export function entries<T>(list: readonly (T | undefined)[] | undefined): [number, T][] {
  return [...(list ?? []).entries()].filter((entry): entry is [number, T] => entry[1] !== undefined)
}
