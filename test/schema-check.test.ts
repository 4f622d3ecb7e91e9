/** The check of schemas: what it accepts and what it reports, held to Ajv. */
import { readFileSync } from 'node:fs'
import { Ajv, type ErrorObject } from 'ajv'
import fc from 'fast-check'
import { test } from 'tap'
import { parseDocument } from 'yaml'
import { checkedSchema } from '../src/config/schema.ts'
import { type CheckedSchema, createSchemaCheck, type SchemaFault } from '../src/schema-check.ts'

const root = new URL('../', import.meta.url)
const findAll = createSchemaCheck({ findsAll: true })

/** Place and keyword of each fault; of a union without a valid alternative, the union alone. */
function ajvFaults(errors: readonly ErrorObject[]): string[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => `${schemaPath}/`)
  const outer = errors.filter(({ schemaPath }) => !unions.some((union) => schemaPath.startsWith(union)))
  return outer.map(({ instancePath, keyword, params }) => {
    return `${instancePath} ${keyword} ${params.additionalProperty ?? params.missingProperty ?? ''}`
  })
}

function ownFaults(faults: readonly SchemaFault[]): string[] {
  return faults.map(({ path, keyword, member = '' }) => {
    const place = path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
    return `${place} ${keyword} ${member}`
  })
}

const SCHEMA: CheckedSchema = {
  type: 'object',
  required: ['text', 'list'],
  additionalProperties: false,
  properties: {
    text: { type: 'string', minLength: 2, maxLength: 4, pattern: '^[a-z😀]+$' },
    whole: { type: 'integer', minimum: 1, maximum: 9 },
    number: { type: 'number', minimum: 0.5 },
    flag: { type: 'boolean', default: true },
    word: { type: 'string', enum: ['a', 'b'], default: 'a' },
    fixed: { type: 'string', const: 'x' },
    nothing: { type: 'null' },
    either: {
      anyOf: [
        { type: 'integer', minimum: 5 },
        { type: 'string', const: 'auto' }
      ]
    },
    list: { type: 'array', minItems: 1, maxItems: 2, uniqueItems: true, items: { type: 'string', minLength: 1 } },
    map: { type: 'object', patternProperties: { '^[a-z]$': { type: 'integer' } }, additionalProperties: false },
    inner: {
      type: 'object',
      default: {},
      properties: { size: { type: 'integer', default: 3 } },
      additionalProperties: false
    }
  }
}

const scalar = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'ab', 'abcde', '😀😀😀😀', 'x', 'auto', 'ABC', 0, 1, 5, 9, 10, 0.5, 1.5, -1, 1e300),
  fc.constantFrom(true, false, null)
)
const leaf = fc.oneof(scalar, fc.constant([]), fc.constant({}))
const value = fc.oneof(
  leaf,
  fc.uniqueArray(scalar, { maxLength: 3 }),
  fc.array(fc.constantFrom('', 'a', 'ab'), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('a', 'bb', 'size', 'constructor', '/~'), leaf, { maxKeys: 3 })
)
const members = fc.constantFrom(...Object.keys(SCHEMA.properties ?? {}), 'other', 'toString')

test('finds the faults that Ajv finds and sets the defaults that Ajv sets', async (t) => {
  const validate = new Ajv({ allErrors: true, useDefaults: true, ownProperties: true }).compile(SCHEMA)
  const objects = fc.oneof({ weight: 9, arbitrary: fc.dictionary(members, value) }, { weight: 1, arbitrary: value })
  fc.assert(
    fc.property(objects, (given) => {
      const [theirs, own] = [structuredClone(given), structuredClone(given)]
      validate(theirs)
      const faults = ownFaults(findAll(SCHEMA, own))
      const expected = ajvFaults(validate.errors ?? [])
      if (faults.toSorted().join() !== expected.toSorted().join()) throw new Error(`${faults} is not ${expected}`)
      if (JSON.stringify(own) !== JSON.stringify(theirs)) throw new Error('other defaults')
    }),
    { numRuns: 1000 }
  )
  t.pass()
})

test('agrees with Ajv on gateway.yaml with a value exchanged anywhere', async (t) => {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, ownProperties: true, strict: false })
  const validate = ajv.compile(checkedSchema)
  const text = readFileSync(new URL('config/gateway.example.yaml', root), 'utf8')
  const example = JSON.stringify(parseDocument(text).toJS())
  const places = placesOf(JSON.parse(example))
  t.ok(places.length > 20)
  fc.assert(
    fc.property(fc.constantFrom(...places), value, (place, other) => {
      const [theirs, own] = [JSON.parse(example), JSON.parse(example)]
      for (const tree of [theirs, own]) put(tree, place, structuredClone(other))
      validate(theirs)
      const expected = ajvFaults(validate.errors ?? [])
      const faults = ownFaults(findAll(checkedSchema, own))
      if (faults.toSorted().join() !== expected.toSorted().join()) throw new Error(`${faults} is not ${expected}`)
      if (JSON.stringify(own) !== JSON.stringify(theirs)) throw new Error('other defaults')
    }),
    { numRuns: 300 }
  )
})

test('stops at the first fault when asked to, and tells the fault inside of a union', async (t) => {
  const first = createSchemaCheck({ findsAll: false })
  t.same(ownFaults(first(SCHEMA, { text: 1, list: 2, other: 3 })), [' additionalProperties other'])
  const optional: CheckedSchema = { anyOf: [{ type: 'null' }, SCHEMA] }
  const [fault] = first(optional, { list: ['a'] })
  t.match(fault, { keyword: 'anyOf', path: [], inside: [{ keyword: 'required', member: 'text' }] })
  t.same(first(optional, null), [])
})

test('no endpoint and no section uses a keyword that the check ignores', async (t) => {
  const applied = new Set(
    `type const enum minimum maximum minLength maxLength pattern minItems maxItems uniqueItems items required properties
    patternProperties additionalProperties anyOf default description examples title`.split(/\s+/)
  )
  const unknown = new Set<string>()
  const visit = (schema: Readonly<Record<string, unknown>>): void => {
    for (const [keyword, argument] of Object.entries(schema)) {
      if (!applied.has(keyword) && !keyword.startsWith('x-')) unknown.add(keyword)
      // A document names patternProperties so.
      if (keyword === 'items' || keyword === 'additionalProperties') visitAny(Object(argument))
      if (keyword === 'properties' || keyword === 'patternProperties') Object.values(Object(argument)).forEach(visitAny)
      if (keyword === 'anyOf') (argument as unknown[]).forEach(visitAny)
    }
  }
  const visitAny = (schema: unknown) => visit(schema as Readonly<Record<string, unknown>>)
  visitAny(checkedSchema)
  for (const name of ['edge', 'service']) {
    const document = JSON.parse(readFileSync(new URL(`docs/openapi/${name}.json`, root), 'utf8'))
    for (const path of Object.values<Record<string, Operation>>(document.paths)) {
      for (const { parameters = [], requestBody } of Object.values(path)) {
        for (const { schema } of parameters) visitAny(schema)
        for (const { schema } of Object.values(requestBody?.content ?? {})) visitAny(schema)
      }
    }
  }
  t.same([...unknown], [])
})

interface Operation {
  readonly parameters?: readonly { readonly schema: unknown }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: unknown }>> }
}

type Step = string | number

function placesOf(tree: unknown, path: readonly Step[] = []): (readonly Step[])[] {
  const here = path.length === 0 ? [] : [path]
  if (typeof tree !== 'object' || tree === null) return here
  const steps = Array.isArray(tree) ? [...tree.keys()] : Object.keys(tree)
  return [...here, ...steps.flatMap((step) => placesOf((tree as Record<Step, unknown>)[step], [...path, step]))]
}

function put(tree: unknown, path: readonly Step[], value: unknown): void {
  let here = tree as Record<Step, unknown>
  for (const step of path.slice(0, -1)) here = here[step] as Record<Step, unknown>
  here[path.at(-1) ?? ''] = value
}
