/** Builds docs/configuration.md from the schema and one example file. */
import { written } from '../src/config/published-schema.ts'
import { alternativeFor, checkedSchema, type JsonSchema } from '../src/config/schema.ts'

const introduction = `# gateway.yaml

The reference of every key. \`node scripts/generate.ts\` builds this page from the schema; editors use
\`config/gateway.schema.json\` when the file starts with

\`\`\`yaml
# yaml-language-server: $schema=./config/gateway.schema.json
\`\`\`

\`wxgate validate\` lists every fault of a file with line, column and a hint, and checks that a sqlite store can be written.
It creates nothing.

## Form of values

The file is YAML 1.2, read strictly: a key that is unknown or given twice, a value of the wrong type and a variable that is
not set are errors. Only \`apps\`, \`secrets\`, \`upstreams\` and \`routes\` have no default.

| Kind | Written as |
|---|---|
| duration | a whole number and \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`: \`10ms\`, \`30s\`, \`2h\`, \`30d\` |
| size | a whole number and \`b\`, \`kb\`, \`mb\` or \`gb\`, 1 kb being 1024 bytes: \`64kb\`, \`10mb\` |
| text | plain; in quotes where YAML would read another type: \`"1900000001"\` |
| secret | text, or \`{ file: PATH }\`: the content of the file without the newline at its end. A changed file is applied like a changed gateway.yaml |
| boolean | \`true\` or \`false\`; \`yes\`, \`no\`, \`on\` and \`off\` are text |

Paths are relative to the folder of gateway.yaml.

### Variables

\`\${VAR}\` in a value is replaced by the environment variable; an unset variable is an error. \`\${VAR:-default}\` takes
the default when the variable is unset or empty; a default ends at the first \`}\`. \`$\${\` is a plain \`\${\`. Variables are
filled in after the file was parsed, in values and never in keys, so the content of a variable cannot change the structure
of the file. A value without quotes becomes a number or a boolean where the key needs one: \`port: \${PORT:-8080}\`.

### Words with a special meaning

- \`secrets: [generated]\`: a random secret, made at the first start and kept in \`wxgate.secret\` (mode 0600) beside the
  sqlite file; with a store in memory it is lost at a restart. Refused with Redis, because instances share it.
- \`apps[].secret: sandbox\`: an app that exists in the sandbox only. When all apps do, \`wechat.apiBase\` becomes \`sandbox\`.

### Defaults from the environment

Some keys have an environment variable, such as \`WXGATE_STORE\` for \`store\`. It is the default when the file leaves out
the key; a key in the file takes precedence. The container image sets \`WXGATE_STORE\` to its volume.

### Settings that need permission by name

\`--allow NAME,NAME\` or \`WXGATE_ALLOW\` permits them. With \`NODE_ENV=production\` the first three are refused without
permission; the others are warnings, which \`wxgate validate --strict\` counts as errors.

| Name | Permits |
|---|---|
| \`sandbox\` | the sandbox instead of WeChat |
| \`generated-secrets\` | \`secrets: [generated]\` |
| \`memory-store\` | \`store: memory\` |
| \`service-public\` | a service listener that other machines can reach |
| \`plain-redis\` | \`redis://\` to another machine |
| \`public-catch-all\` | a public or optional route above a stricter one on the same upstream |
`

/** @param example A whole gateway.yaml; each section of the page quotes its part. */
export function configurationReference(example: string): string {
  const sections = Object.entries(checkedSchema.properties ?? {}).filter(([name]) => name !== 'version')
  const pages = sections.map(([name, schema]) => {
    const rows = keys(schema, name).map(({ path, schema, isRequired }) => row(path, schema, isRequired))
    const table = ['| Key | Type | Default | Description |', '|---|---|---|---|', ...rows].join('\n')
    const quoted = partOf(example, name)
    return `## ${name}\n\n${schema.description ?? ''}\n\n${table}\n\n\`\`\`yaml\n${quoted}\n\`\`\`\n`
  })
  return `${introduction}\n${pages.join('\n')}`
}

interface Key {
  readonly path: string
  readonly schema: JsonSchema
  readonly isRequired: boolean
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

function row(path: string, schema: JsonSchema, isRequired: boolean): string {
  const variable =
    schema['x-env'] === undefined ? '' : ` Default from the variable \`${schema['x-env']}\`, where it is set.`
  const description = `${schema.description ?? ''}${variable}`
  const cells = [`\`${path}\``, type(schema), standard(schema, isRequired), description]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function standard(schema: JsonSchema, isRequired: boolean): string {
  if (isRequired) return 'required'
  const isEmptyMap = schema.type === 'object' && schema.default !== undefined
  return schema.default === undefined ? '–' : `\`${isEmptyMap ? '{}' : written(schema.default)}\``
}

function type(schema: JsonSchema): string {
  if (schema['x-secret']) return 'secret'
  if (schema['x-one-or-list']) return 'mapping, or list of mappings'
  if (schema['x-unit'] !== undefined) return schema['x-unit']
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(' | ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.anyOf !== undefined) return schema.anyOf.map(type).join(' | ')
  switch (schema.type) {
    case 'array':
      return schema.items?.properties === undefined && schema.items !== undefined
        ? `list of ${type(schema.items)}`
        : 'list of mappings'
    case 'object':
      return schema.patternProperties === undefined
        ? 'mapping'
        : `map of ${type(Object.values(schema.patternProperties)[0] ?? {})}`
    case 'integer':
      return `whole number, ${schema.minimum} to ${schema.maximum}`
    case 'string':
      return 'text'
    default:
      return schema.type ?? ''
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
