/** The strict check against the schema: reports every fault at once, each with its place. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { Written } from './config.ts'
import { didYouMean, type Path, pointer, quote } from './problem.ts'
import type { Report } from './report.ts'
import { checkedSchema, type JsonSchema } from './schema.ts'
import type { Draft } from './section.ts'
import { parseDuration, parseSize } from './units.ts'

let compiled: ValidateFunction | undefined

function validator(): ValidateFunction {
  if (compiled === undefined) {
    // A test checks the schema itself. Without these two steps the check takes half the time at a start.
    const quick = { validateSchema: false, code: { optimize: false } }
    const ajv = new Ajv({
      allErrors: true,
      useDefaults: true,
      verbose: true,
      ownProperties: true,
      strict: false,
      ...quick
    })
    ajv.addKeyword({ keyword: 'x-range', type: 'string', validate: isInRange, errors: false })
    compiled = ajv.compile(checkedSchema)
  }
  return compiled
}

function isInRange(range: { min: string; max: string }, text: string): boolean {
  const parse = (value: string) => parseDuration(value) ?? parseSize(value)
  const value = parse(text)
  // The pattern refuses text without a value.
  return value === null || (value >= (parse(range.min) ?? 0) && value <= (parse(range.max) ?? Number.POSITIVE_INFINITY))
}

/** Fills in defaults, reports invalid values and removes them, so that the rest has the right type.
 *  @param known Places that were reported before; they are removed without a report. */
export function check(tree: unknown, known: ReadonlySet<string>, report: Report): Draft<Written> {
  const validate = validator()
  validate(tree)
  const unions = new Set(
    (validate.errors ?? []).flatMap((error) => (error.keyword === 'anyOf' ? error.schemaPath : []))
  )
  const seen = new Set<string>()
  const wrong: Path[] = []
  for (const error of validate.errors ?? []) {
    // One report for the union says more than one for each alternative.
    if ([...unions].some((union) => error.schemaPath.startsWith(`${union}/`))) continue
    const path = subject(error, tree)
    const place = pointer(path)
    if (isKnown(place, known)) continue
    if (error.keyword !== 'required') wrong.push(path)
    if (seen.has(place)) continue
    seen.add(place)
    const { message, hint } = describe(error)
    report.error(path, message, hint, error.keyword === 'additionalProperties' ? 'key' : 'value')
  }
  for (const path of wrong) remove(tree, path)
  for (const place of known) remove(tree, stepsOf(place, tree))
  return (isMapping(tree) ? tree : {}) as Draft<Written>
}

/** The place of an error; for an unknown or missing key, that key. */
function subject(error: ErrorObject, tree: unknown): Path {
  const path = stepsOf(error.instancePath, tree)
  if (error.keyword === 'additionalProperties') return [...path, String(error.params.additionalProperty)]
  if (error.keyword === 'required') return [...path, String(error.params.missingProperty)]
  return path
}

function isKnown(place: string, known: ReadonlySet<string>): boolean {
  for (let end = place.length; end > 0; end = place.lastIndexOf('/', end - 1)) {
    if (known.has(place.slice(0, end))) return true
  }
  return known.has('')
}

/** A JSON pointer as steps; a step is a number where the tree has a list. */
function stepsOf(place: string, tree: unknown): Path {
  const path: (string | number)[] = []
  let here = tree
  for (const part of place.split('/').slice(1)) {
    const step = part.replace(/~1/g, '/').replace(/~0/g, '~')
    path.push(Array.isArray(here) ? Number(step) : step)
    here = isMapping(here) || Array.isArray(here) ? (here as Record<string, unknown>)[step] : undefined
  }
  return path
}

function remove(tree: unknown, path: Path): void {
  let here = tree
  for (const step of path.slice(0, -1)) {
    if (!isMapping(here) && !Array.isArray(here)) return
    here = (here as Record<string | number, unknown>)[step]
  }
  const last = path.at(-1)
  if (last === undefined) return
  if (Array.isArray(here)) here[Number(last)] = undefined
  else if (isMapping(here)) delete here[last]
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Words {
  readonly message: string
  readonly hint?: string | undefined
}

/** Never repeats a value of the file, because it may be a secret in the wrong place. */
function describe(error: ErrorObject): Words {
  const schema = (error.parentSchema ?? {}) as JsonSchema
  const form = schema['x-form']
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(String(error.params.additionalProperty), schema)
    case 'required':
      return { message: 'is missing' }
    case 'type':
      return {
        message: `must be ${form ?? choice(schema) ?? kinds[schema.type ?? ''] ?? schema.type}`,
        hint: typeHint(error.data, schema)
      }
    case 'enum':
    case 'const':
    case 'anyOf':
    case 'pattern':
      return {
        message: `must be ${form ?? choice(schema)}`,
        hint: valueHint(error.data, schema)
      }
    case 'x-range':
      return { message: `must be from ${schema['x-range']?.min} to ${schema['x-range']?.max}` }
    case 'minimum':
    case 'maximum':
      return { message: `must be from ${schema.minimum} to ${schema.maximum}` }
    case 'minLength':
      return { message: 'must not be empty' }
    case 'maxLength':
      return { message: `must have at most ${error.params.limit} characters` }
    case 'minItems':
      return { message: 'must have at least one entry' }
    case 'maxItems':
      return { message: `must have at most ${error.params.limit} entries` }
    case 'uniqueItems':
      return { message: `has the same entry twice, at [${error.params.j}] and [${error.params.i}]` }
    default:
      return { message: `is not valid (${error.keyword})` }
  }
}

function choice(schema: JsonSchema): string | undefined {
  return schema.enum && `one of ${schema.enum.join(', ')}`
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a mapping of keys to values',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false'
}

function unknownKey(key: string, schema: JsonSchema): Words {
  const placeholder = key.includes('${') ? 'placeholders are filled in values, not in keys' : undefined
  if (schema.properties === undefined)
    return { message: schema['x-keys'] ?? `unknown key ${quote(key)}`, hint: placeholder }
  return { message: 'unknown key', hint: placeholder ?? didYouMean(key, Object.keys(schema.properties)) }
}

function typeHint(data: unknown, schema: JsonSchema): string | undefined {
  if (data === null) return 'the value is empty: leave the key out to get the default'
  if (schema.type === 'boolean' && typeof data === 'string') {
    if (/^(true|false)$/i.test(data)) return 'take the quotes away'
    if (/^(y|yes|n|no|on|off)$/i.test(data)) return 'use true or false'
  }
  if (schema.type === 'integer' && typeof data === 'string' && /^[0-9]+$/.test(data)) return 'take the quotes away'
  if (schema.type === 'array' && typeof data !== 'object') return 'put it in [ ]'
  if (typeof data !== 'number' && typeof data !== 'boolean') return undefined
  if (schema['x-unit'] === 'duration') return 'write it with a unit, such as 30s'
  if (schema['x-unit'] === 'size') return 'write it with a unit, such as 64kb'
  return schema.type === 'string' && schema.enum === undefined ? 'put the value in quotes' : undefined
}

function valueHint(data: unknown, schema: JsonSchema): string | undefined {
  if (typeof data === 'number' && schema['x-secret'] === true) return 'put the value in quotes'
  if (typeof data !== 'string') return undefined
  if (schema.enum !== undefined) return didYouMean(data, schema.enum.map(String))
  if (schema['x-unit'] === 'duration' && /^[0-9]+$/.test(data)) return 'write it with a unit, such as 30s'
  if (schema['x-unit'] === 'size' && /^[0-9]+$/.test(data)) return 'write it with a unit, such as 64kb'
  if (schema['x-unit'] !== undefined && parseLoosely(data)) return 'whole numbers and small letters, without a space'
  return undefined
}

function parseLoosely(text: string): boolean {
  return /^\s*[0-9]+(\.[0-9]+)?\s*[a-z]+\s*$/i.test(text)
}
