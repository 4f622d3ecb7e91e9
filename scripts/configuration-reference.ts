/** Builds docs/configuration.md and its Chinese twin from the schema and one example file. */
import { written } from '../src/config/published-schema.ts'
import { alternativeFor, checkedSchema, type JsonSchema } from '../src/config/schema.ts'

/** Everything on the page that differs between languages. */
export interface ReferenceTexts {
  readonly introduction: string
  readonly columns: readonly string[]
  /** @param description The English one of the schema. */
  describe(path: string, description: string): string
  /** Follows the description of a key whose default an environment variable can set. */
  fromVariable(name: string): string
  readonly required: string
  readonly types: {
    readonly secret: string
    readonly oneOrList: string
    readonly duration: string
    readonly size: string
    readonly mapping: string
    readonly mappings: string
    readonly text: string
    readonly boolean: string
    listOf(item: string): string
    mapOf(value: string): string
    wholeNumber(minimum: number | undefined, maximum: number | undefined): string
  }
}

interface Key {
  readonly path: string
  readonly schema: JsonSchema
  readonly isRequired: boolean
}

const sections = Object.entries(checkedSchema.properties ?? {}).filter(([name]) => name !== 'version')

/** English description of every section and key on the page, by path. */
export function describedKeys(): ReadonlyMap<string, string> {
  return new Map(
    sections.flatMap(([name, schema]) => [
      [name, schema.description ?? ''] as const,
      ...keys(schema, name).map(({ path, schema }) => [path, schema.description ?? ''] as const)
    ])
  )
}

/** @param example A whole gateway.yaml; each section of the page quotes its part. */
export function configurationReference(example: string, texts: ReferenceTexts): string {
  const head = [`| ${texts.columns.join(' | ')} |`, `|${'---|'.repeat(texts.columns.length)}`]
  const pages = sections.map(([name, schema]) => {
    const table = [...head, ...keys(schema, name).map((key) => row(key, texts))].join('\n')
    const description = texts.describe(name, schema.description ?? '')
    return `## ${name}\n\n${description}\n\n${table}\n\n\`\`\`yaml\n${partOf(example, name)}\n\`\`\`\n`
  })
  return `${texts.introduction}\n${pages.join('\n')}`
}

/** Every key below a key, in the order of the schema. */
function keys(written: JsonSchema, path: string): Key[] {
  const schema = alternativeFor(written, 'object') ?? written
  if (schema.items?.properties !== undefined) return keys(schema.items, `${path}[]`)
  const named = Object.entries(schema.properties ?? {})
  const any = Object.values(schema.patternProperties ?? {}).filter((part) => part.properties !== undefined)
  if (named.length === 0 && any.length === 0) return [{ path, schema, isRequired: schema.default === undefined }]
  return [
    ...any.flatMap((part) => keys(part, `${path}.*`)),
    ...named.flatMap(([name, part]) => {
      const inside = path === '' ? name : `${path}.${name}`
      const isRequired = schema.required?.includes(name) ?? false
      const below = keys(part, inside)
      const isLeaf = below.length === 1 && below[0]?.path === inside
      if (isLeaf) return [{ path: inside, schema: part, isRequired }]
      const isWorthARow = part.default === undefined || Array.isArray(part.default)
      return isWorthARow ? [{ path: inside, schema: part, isRequired }, ...below] : below
    })
  ]
}

function row({ path, schema, isRequired }: Key, texts: ReferenceTexts): string {
  const variable = schema['x-env'] === undefined ? '' : texts.fromVariable(schema['x-env'])
  const description = `${texts.describe(path, schema.description ?? '')}${variable}`
  const standard = isRequired ? texts.required : defaultOf(schema)
  const cells = [`\`${path}\``, type(schema, texts.types), standard, description]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function defaultOf(schema: JsonSchema): string {
  const isEmptyMap = schema.type === 'object' && schema.default !== undefined
  return schema.default === undefined ? '–' : `\`${isEmptyMap ? '{}' : written(schema.default)}\``
}

function type(schema: JsonSchema, words: ReferenceTexts['types']): string {
  if (schema['x-secret']) return words.secret
  if (schema['x-one-or-list']) return words.oneOrList
  if (schema['x-unit'] !== undefined) return words[schema['x-unit']]
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(' | ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.anyOf !== undefined) return schema.anyOf.map((part) => type(part, words)).join(' | ')
  switch (schema.type) {
    case 'array':
      return schema.items?.properties === undefined && schema.items !== undefined
        ? words.listOf(type(schema.items, words))
        : words.mappings
    case 'object':
      return schema.patternProperties === undefined
        ? words.mapping
        : words.mapOf(type(Object.values(schema.patternProperties)[0] ?? {}, words))
    case 'integer':
      return words.wholeNumber(schema.minimum, schema.maximum)
    case 'string':
      return words.text
    case 'boolean':
      return words.boolean
    default:
      throw new Error(`the reference has no word for the type ${schema.type}`)
  }
}

/** The lines of one top-level key. */
function partOf(yaml: string, name: string): string {
  const lines = yaml.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`${name}:`))
  if (start < 0) throw new Error(`the example has no ${name}`)
  const length = lines.slice(start + 1).findIndex((line) => /^[a-z]/.test(line))
  return lines
    .slice(start, length < 0 ? undefined : start + 1 + length)
    .join('\n')
    .trim()
}
