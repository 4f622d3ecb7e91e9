/** Defaults from the environment: a variable such as WXGATE_STORE replaces a key that the file
 *  leaves out. */
import type { Environment } from './interpolate.ts'
import type { Path } from './problem.ts'
import { coerce } from './read-tree.ts'
import type { Report } from './report.ts'
import type { JsonSchema } from './schema.ts'

export interface EnvironmentDefault {
  readonly path: readonly string[]
  readonly variable: string
  readonly schema: JsonSchema
}

/** The keys of a schema that have a variable. */
function environmentDefaults(schema: JsonSchema, path: readonly string[] = []): EnvironmentDefault[] {
  const variable = schema['x-env']
  return [
    ...(variable === undefined ? [] : [{ path, variable, schema }]),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, part]) => environmentDefaults(part, [...path, name]))
  ]
}

/** Changes `tree` in place. */
export function fillFromEnvironment(tree: unknown, schema: JsonSchema, env: Environment, report: Report): void {
  for (const { path, variable, schema: part } of environmentDefaults(schema)) {
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined
    if (!value || !put(tree, path, coerce(value, part))) continue
    report.origin(path, `the environment variable ${variable}`)
  }
}

/** False when the file has a value, or no mapping that could hold one. */
function put(tree: unknown, [step, ...rest]: Path, value: unknown): boolean {
  if (step === undefined || typeof tree !== 'object' || tree === null || Array.isArray(tree)) return false
  const mapping = tree as Record<string, unknown>
  if (Object.hasOwn(mapping, step)) return rest.length > 0 && put(mapping[step], rest, value)
  if (rest.length === 0) {
    mapping[step] = value
    return true
  }
  const section: Record<string, unknown> = Object.create(null)
  mapping[step] = section
  return put(section, rest, value)
}
