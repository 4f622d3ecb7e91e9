/** Types and helpers that the sections of gateway.yaml share. */
import type { ReadFile } from './files.ts'
import type { Path } from './problem.ts'
import type { Report } from './report.ts'

/** Settings that must be allowed by name: production refuses the first three, the others are
 *  warnings. */
export const allowances = [
  'sandbox',
  'generated-secrets',
  'memory-store',
  'service-public',
  'plain-redis',
  'public-catch-all'
] as const
export type Allowance = (typeof allowances)[number]

/** Input of a rule besides the sections that it reads. */
export interface RuleContext {
  readonly report: Report
  readonly isProduction: boolean
  readonly allow: ReadonlySet<string>
  /** Base of relative paths: the folder of the configuration file. */
  readonly directory: string
  readonly readFile: ReadFile
  /** The reason why a file cannot be created or written; null when it can or is not checked. */
  readonly writeFault: (path: string) => string | null
}

/** A checked value that may be incomplete: parts that are missing or invalid are undefined and
 *  were reported. */
export type Draft<T> = T extends readonly (infer E)[]
  ? readonly (Draft<E> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Draft<T[K]> | undefined }
    : T

export type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/** The entries of a list that are present, with their index in the file. */
export function entries<T>(list: readonly (T | undefined)[] | undefined): [number, T][] {
  return [...(list ?? []).entries()].filter((entry): entry is [number, T] => entry[1] !== undefined)
}

/** Reports each value that an earlier entry also has. */
export function reportRepeats(
  values: Iterable<readonly [Path, string | undefined]>,
  message: (line: number) => string,
  report: Report
): void {
  const seen = new Map<string, Path>()
  for (const [path, value] of values) {
    if (value === undefined) continue
    const first = seen.get(value)
    if (first === undefined) seen.set(value, path)
    else report.error(path, message(report.line(first)))
  }
}

export function refuseInProduction(context: RuleContext, path: Path, message: string, allowance: Allowance): void {
  if (!context.isProduction || context.allow.has(allowance)) return
  context.report.error(path, `${message} when NODE_ENV=production`, allowHint(allowance))
}

export function warnUnlessAllowed(context: RuleContext, path: Path, message: string, allowance: Allowance): void {
  if (!context.allow.has(allowance)) context.report.warn(path, message, allowHint(allowance))
}

function allowHint(allowance: Allowance): string {
  return `to allow it: --allow ${allowance} or WXGATE_ALLOW=${allowance}`
}
