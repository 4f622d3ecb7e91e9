/** English texts of docs/configuration.md. */
import type { ReferenceTexts } from './configuration-reference.ts'

const introduction = `# gateway.yaml

English · [中文](configuration.zh-CN.md)

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

export const english: ReferenceTexts = {
  introduction,
  columns: ['Key', 'Type', 'Default', 'Description'],
  describe: (_path, description) => description,
  fromVariable: (name) => ` Default from the variable \`${name}\`, where it is set.`,
  required: 'required',
  types: {
    secret: 'secret',
    oneOrList: 'mapping, or list of mappings',
    duration: 'duration',
    size: 'size',
    mapping: 'mapping',
    mappings: 'list of mappings',
    text: 'text',
    boolean: 'boolean',
    listOf: (item) => `list of ${item}`,
    mapOf: (value) => `map of ${value}`,
    wholeNumber: (minimum, maximum) => `whole number, ${minimum} to ${maximum}`
  }
}
