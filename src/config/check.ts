/** The strict check against the schema: reports every fault at once, each with its place. */
import { createSchemaCheck, type SchemaFault } from '../schema-check.ts'
import type { Written } from './config.ts'
import { type Path, pointer } from './problem.ts'
import type { Report } from './report.ts'
import { checkedSchema, type JsonSchema } from './schema.ts'
import { describeSchemaFault } from './schema-fault.ts'
import { secretTextFault } from './secret-text.ts'
import type { Draft } from './section.ts'
import { parseDuration, parseSize } from './units.ts'

function isInRange(argument: unknown, text: string): boolean {
  const range = argument as NonNullable<JsonSchema['x-range']>
  const parse = (value: string) => parseDuration(value) ?? parseSize(value)
  const value = parse(text)
  // The pattern already refused text without a value.
  return value === null || (value >= (parse(range.min) ?? 0) && value <= (parse(range.max) ?? Number.POSITIVE_INFINITY))
}

function isOneLine(_: unknown, text: string): boolean {
  return secretTextFault(text) === null
}

/** Fills in defaults, reports invalid values and removes them, so that the rest has the right type.
 *  @param known Places that were reported before; they are removed without a report. */
export function check(tree: unknown, known: ReadonlySet<string>, report: Report): Draft<Written> {
  const checkSchema = createSchemaCheck({ findsAll: true, textKeywords: { 'x-range': isInRange, 'x-line': isOneLine } })
  const seen = new Set<string>()
  const wrong: Path[] = []
  for (const fault of checkSchema(checkedSchema, tree).flatMap(detailsOf)) {
    const path = subject(fault)
    const place = pointer(path)
    if (isKnown(place, known)) continue
    if (fault.keyword !== 'required') wrong.push(path)
    if (seen.has(place)) continue
    seen.add(place)
    const { message, hint } = describeSchemaFault(fault, path)
    report.error(path, message, hint, fault.keyword === 'additionalProperties' ? 'key' : 'value')
  }
  for (const path of wrong) remove(tree, path)
  for (const place of known) remove(tree, stepsOf(place, tree))
  return (isMapping(tree) ? tree : {}) as Draft<Written>
}

/** The kind of a value tells which of a mapping and a list was meant. Of any other union, one
 *  report says more than one for each alternative. */
function detailsOf(fault: SchemaFault): readonly SchemaFault[] {
  const { inside = [] } = fault
  return (fault.schema as JsonSchema)['x-one-or-list'] === true && inside.length > 0 ? inside : [fault]
}

/** The place of a fault; for an unknown or missing key, that key. */
function subject({ path, member }: SchemaFault): Path {
  return member === undefined ? path : [...path, member]
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
