/** Checks values against the schemas of gateway.yaml and of the endpoints. Interprets a schema as
 *  it stands: compiling all of them took a fifth of a start. */

export type Path = readonly (string | number)[]

/** The keywords that {@link createSchemaCheck} applies, as draft 7 of JSON Schema defines them.
 *  Everything else is a note for readers. */
export interface CheckedSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  /** In code points. */
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly minItems?: number
  readonly maxItems?: number
  /** For lists of texts and numbers. */
  readonly uniqueItems?: boolean
  readonly items?: CheckedSchema
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, CheckedSchema>>
  readonly patternProperties?: Readonly<Record<string, CheckedSchema>>
  readonly additionalProperties?: boolean
  /** Fills in no default. */
  readonly anyOf?: readonly CheckedSchema[]
  /** Set for a missing member of an object. */
  readonly default?: unknown
}

export interface SchemaFault {
  readonly keyword: string
  /** The place of `value` from the root. */
  readonly path: Path
  readonly value: unknown
  /** The schema that refuses it. */
  readonly schema: CheckedSchema
  /** The missing or unknown member. */
  readonly member?: string
  /** The indexes of two equal entries. */
  readonly repeats?: readonly [number, number]
  /** The faults of the alternative that has the type of the value; empty without one. */
  readonly inside?: readonly SchemaFault[]
}

export interface SchemaCheckOptions {
  /** False: stops at the first fault. */
  readonly findsAll: boolean
  /** Keywords for texts besides those of JSON Schema.
   *  @returns True when the text is valid. */
  readonly textKeywords?: Readonly<Record<string, (argument: unknown, text: string) => boolean>>
}

/** Sets defaults in the value and returns its faults. */
export type SchemaCheck = (schema: CheckedSchema, value: unknown) => SchemaFault[]

interface Visit {
  readonly faults: SchemaFault[]
  readonly path: (string | number)[]
  readonly setsDefaults: boolean
}

export function createSchemaCheck({ findsAll, textKeywords = {} }: SchemaCheckOptions): SchemaCheck {
  const patterns = new Map<string, RegExp>()

  function matches(pattern: string, text: string): boolean {
    const known = patterns.get(pattern) ?? new RegExp(pattern, 'u')
    patterns.set(pattern, known)
    return known.test(text)
  }

  const isDone = ({ faults }: Visit) => !findsAll && faults.length > 0

  function check(schema: CheckedSchema, value: unknown, visit: Visit): void {
    const refuse = (keyword: string, more?: Partial<SchemaFault>) => {
      if (!isDone(visit)) visit.faults.push({ keyword, path: [...visit.path], value, schema, ...more })
    }
    if (schema.type !== undefined && !isOfType(schema.type, value)) refuse('type')
    if (typeof value === 'number') checkNumber(schema, value, refuse)
    else if (typeof value === 'string') checkText(schema, value, refuse)
    if (schema.const !== undefined && value !== schema.const) refuse('const')
    if (schema.enum !== undefined && !schema.enum.includes(value)) refuse('enum')
    if (schema.anyOf !== undefined) checkAlternatives(schema.anyOf, value, visit, refuse)
    if (Array.isArray(value)) checkList(schema, value, visit, refuse)
    else if (isObject(value)) checkObject(schema, value, visit, refuse)
  }

  function checkText(schema: CheckedSchema, text: string, refuse: Refuse): void {
    const { minLength, maxLength, pattern } = schema
    if (minLength !== undefined && lengthOf(text) < minLength) refuse('minLength')
    if (maxLength !== undefined && lengthOf(text) > maxLength) refuse('maxLength')
    if (pattern !== undefined && !matches(pattern, text)) refuse('pattern')
    for (const [keyword, isValid] of Object.entries(textKeywords)) {
      const argument = (schema as Readonly<Record<string, unknown>>)[keyword]
      if (argument !== undefined && !isValid(argument, text)) refuse(keyword)
    }
  }

  function checkAlternatives(anyOf: readonly CheckedSchema[], value: unknown, visit: Visit, refuse: Refuse): void {
    let inside: readonly SchemaFault[] = []
    for (const alternative of anyOf) {
      const inner: Visit = { faults: [], path: [...visit.path], setsDefaults: false }
      check(alternative, value, inner)
      if (inner.faults.length === 0) return
      if (alternative.type !== undefined && isOfType(alternative.type, value)) inside = inner.faults
    }
    refuse('anyOf', { inside })
  }

  function checkList(schema: CheckedSchema, list: readonly unknown[], visit: Visit, refuse: Refuse): void {
    const { minItems, maxItems, uniqueItems, items } = schema
    if (minItems !== undefined && list.length < minItems) refuse('minItems')
    if (maxItems !== undefined && list.length > maxItems) refuse('maxItems')
    const repeats = uniqueItems === true ? firstRepeat(list) : null
    if (repeats !== null) refuse('uniqueItems', { repeats })
    if (items !== undefined) for (const [index, item] of list.entries()) checkAt(index, items, item, visit)
  }

  function checkObject(schema: CheckedSchema, object: Record<string, unknown>, visit: Visit, refuse: Refuse): void {
    const { required = [], properties = {}, patternProperties = {}, additionalProperties = true } = schema
    if (visit.setsDefaults) setDefaults(properties, object)
    for (const member of required) if (!hasValue(object, member)) refuse('required', { member })
    const families = Object.entries(patternProperties)
    for (const member of Object.keys(object)) {
      if (additionalProperties || Object.hasOwn(properties, member)) continue
      if (!families.some(([pattern]) => matches(pattern, member))) refuse('additionalProperties', { member })
    }
    for (const [member, part] of Object.entries(properties)) {
      if (hasValue(object, member)) checkAt(member, part, object[member], visit)
    }
    for (const [pattern, part] of families) {
      for (const member of Object.keys(object)) {
        if (matches(pattern, member)) checkAt(member, part, object[member], visit)
      }
    }
  }

  function checkAt(step: string | number, schema: CheckedSchema, value: unknown, visit: Visit): void {
    if (isDone(visit)) return
    visit.path.push(step)
    check(schema, value, visit)
    visit.path.pop()
  }

  return (schema, value) => {
    const visit: Visit = { faults: [], path: [], setsDefaults: true }
    check(schema, value, visit)
    return visit.faults
  }
}

type Refuse = (keyword: string, more?: Partial<SchemaFault>) => void

function checkNumber({ minimum, maximum }: CheckedSchema, value: number, refuse: Refuse): void {
  if (minimum !== undefined && value < minimum) refuse('minimum')
  if (maximum !== undefined && value > maximum) refuse('maximum')
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return Number.isFinite(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasValue(object: Record<string, unknown>, member: string): boolean {
  return Object.hasOwn(object, member) && object[member] !== undefined
}

function setDefaults(properties: Readonly<Record<string, CheckedSchema>>, object: Record<string, unknown>): void {
  for (const [member, { default: value }] of Object.entries(properties)) {
    if (value !== undefined && !hasValue(object, member)) object[member] = structuredClone(value)
  }
}

/** Of code points: a character beyond the basic plane counts once. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

function firstRepeat(list: readonly unknown[]): [number, number] | null {
  const seen = new Map<unknown, number>()
  for (const [index, item] of list.entries()) {
    const first = seen.get(item)
    if (first !== undefined) return [first, index]
    seen.set(item, index)
  }
  return null
}
