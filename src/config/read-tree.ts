/** Reads a YAML document to plain values: follows aliases, fills in placeholders, reads
 *  secrets from their files. Keeps the place of every value and the list of values that could
 *  not be read. */
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from 'yaml'
import type { ReadFile } from './files.ts'
import { type Environment, interpolate } from './interpolate.ts'
import type { ParsedText } from './parse.ts'
import { type Path, pointer, quote } from './problem.ts'
import { createReport, type Locate, type Position, type Report } from './report.ts'
import { alternativeFor, type JsonSchema } from './schema.ts'
import { readSecretFile } from './secret-file.ts'

export interface Tree {
  /** Objects have no prototype. A value that could not be read is undefined. */
  readonly value: unknown
  /** JSON pointers of the values that could not be read; each was reported. */
  readonly broken: ReadonlySet<string>
  readonly report: Report
}

export interface TreeSource {
  readonly file: string
  readonly directory: string
  readonly env: Environment
  readonly readFile: ReadFile
}

const DEEPEST = 40
const MOST_VALUES = 50_000

export function readTree(parsed: ParsedText, schema: JsonSchema, source: TreeSource): Tree {
  const places = new Map<string, { key: number; value: number }>()
  const locate: Locate = (path, part) => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(pointer(path.slice(0, length)))
      if (place === undefined) continue
      // A missing part is reported at the key of the mapping that should hold it.
      return parsed.position(length === path.length ? place[part] : place.key)
    }
    return { line: 1, column: 1 }
  }
  const report = createReport(source.file, locate)
  const broken = new Set<string>()
  const anchors = new Map<string, Node>()
  const active = new Set<Node>()
  let values = 0

  const fail = (path: Path, position: Position, message: string, hint?: string): undefined => {
    broken.add(pointer(path))
    report.errorAt(position, path, message, hint)
    return undefined
  }

  const read = (
    node: Node | null,
    schema: JsonSchema | undefined,
    path: Path,
    key: number,
    isExpanded: boolean
  ): unknown => {
    const start = node?.range?.[0] ?? key
    const place = pointer(path)
    if (!places.has(place)) places.set(place, { key, value: start })
    if (node === null) return null
    values++
    if (values > MOST_VALUES) {
      const isFirst = values === MOST_VALUES + 1
      return isFirst
        ? fail([], parsed.position(start), 'the file grows too large through its aliases')
        : broken.add(place) && undefined
    }
    if (path.length > DEEPEST) return fail(path.slice(0, 3), parsed.position(start), 'the nesting is too deep')
    if (node.tag !== undefined) {
      return fail(path, parsed.position(start), 'YAML tags are not supported', 'remove it; quotes make a value text')
    }
    if (isAlias(node)) return follow(node, schema, path, key)
    if (node.anchor !== undefined && !isExpanded) anchors.set(node.anchor, node)
    if (isScalar(node)) return readScalar(node, schema, path)
    active.add(node)
    try {
      if (isSeq(node)) {
        return node.items.map((item, index) => {
          const child = item as Node | null
          return read(
            child,
            alternativeFor(schema, 'array')?.items,
            [...path, index],
            child?.range?.[0] ?? start,
            isExpanded
          )
        })
      }
      if (isMap(node)) return readMap(node.items as Pair<Node | null, Node | null>[], schema, path, start, isExpanded)
      return fail(path, parsed.position(start), 'a kind of YAML that is not supported')
    } finally {
      active.delete(node)
    }
  }

  const follow = (alias: Alias, schema: JsonSchema | undefined, path: Path, key: number): unknown => {
    const position = parsed.position(alias.range?.[0] ?? key)
    const target = anchors.get(alias.source)
    if (target === undefined) return fail(path, position, `the alias *${safe(alias.source)} has no anchor above it`)
    if (active.has(target)) return fail(path, position, `the alias *${safe(alias.source)} stands inside its own anchor`)
    return read(target, schema, path, key, true)
  }

  const readMap = (
    pairs: readonly Pair<Node | null, Node | null>[],
    schema: JsonSchema | undefined,
    path: Path,
    start: number,
    isExpanded: boolean
  ): unknown => {
    const seen = new Map<string, number>()
    const result: Record<string, unknown> = Object.create(null)
    for (const { key, value } of pairs) {
      const offset = key?.range?.[0] ?? start
      const name = keyText(key)
      if (name === null) {
        const hint = 'a template such as {{ … }} must be filled in first; quotes make a value text'
        fail(path, parsed.position(offset), 'a key that is not a plain word', isMap(key) ? hint : undefined)
        continue
      }
      const first = seen.get(name)
      if (first !== undefined) {
        const { line } = parsed.position(first)
        report.errorAt(parsed.position(offset), [], `duplicate key ${quote(name)}`, `first given on line ${line}`)
        continue
      }
      seen.set(name, offset)
      if (key?.anchor !== undefined && !isExpanded) anchors.set(key.anchor, key)
      if (name === '<<') {
        fail([...path, name], parsed.position(offset), 'merge keys are not part of YAML 1.2', 'write the keys out')
        continue
      }
      const inside = childSchema(alternativeFor(schema, 'object'), name)
      result[name] = read(value, inside, [...path, name], offset, isExpanded)
    }
    return schema?.['x-secret'] === true ? secretOf(result, path, schema['x-public'] === true) : result
  }

  /** Reads `{ file: PATH }` in place of a secret. The check refuses any other mapping. */
  const secretOf = (map: Record<string, unknown>, path: Path, isPublic: boolean): unknown => {
    if (Object.keys(map).join() !== 'file') return map
    if (broken.has(pointer([...path, 'file']))) return broken.add(pointer(path)) && undefined
    if (typeof map.file !== 'string' || map.file === '') return map
    const secret = readSecretFile(map.file, source, path, isPublic ? { ...report, warn: () => {} } : report)
    if (secret === null) broken.add(pointer(path))
    return secret ?? undefined
  }

  const keyText = (key: Node | null): string | null => {
    if (key === null || !isScalar(key) || key.tag !== undefined) return null
    return parsed.unmask(typeof key.value === 'string' ? key.value : (key.source ?? String(key.value)))
  }

  const readScalar = (node: Scalar, schema: JsonSchema | undefined, path: Path): unknown => {
    const start = node.range?.[0] ?? 0
    const kinds = wanted(schema)
    if (typeof node.value === 'number' && kinds.has('integer')) {
      if (/^-?(0|[1-9][0-9]*)$/.test(node.source ?? '') && Number.isSafeInteger(node.value)) return node.value
      return fail(path, parsed.position(start), 'must be a whole number', 'plain digits without a leading 0')
    }
    // An unquoted status code in a list of words, such as retries.on.
    if (typeof node.value === 'number' && schema?.enum?.includes(node.source)) return node.source
    if (typeof node.value !== 'string') return node.value
    const { text, isFilled, faults } = interpolate(parsed.unmask(node.value), source.env)
    for (const fault of faults) {
      const offset = parsed.text.indexOf(fault.token, start)
      const isInside = offset >= 0 && offset < (node.range?.[1] ?? start)
      fail(path, parsed.position(isInside ? offset : start), fault.message, fault.hint)
    }
    if (faults.length > 0) return undefined
    // Quotes make a scalar text, with or without a placeholder.
    return isFilled && node.type === 'PLAIN' ? coerce(text, schema) : text
  }

  return { value: read(parsed.root, schema, [], 0, false), broken, report }
}

/** Text without quotes as the type that the schema names. */
export function coerce(text: string, schema: JsonSchema | undefined): unknown {
  const kinds = wanted(schema)
  if (kinds.has('integer') && /^-?(0|[1-9][0-9]{0,15})$/.test(text)) return Number(text)
  // YAML 1.2, section 10.3.2: a variable takes the same spellings of a boolean as the file.
  if (kinds.has('boolean') && /^(?:true|True|TRUE|false|False|FALSE)$/.test(text)) return /^t/i.test(text)
  return text
}

function wanted(schema: JsonSchema | undefined): ReadonlySet<string> {
  const kinds = [schema, ...(schema?.anyOf ?? [])].map((part) => (part?.type === 'number' ? 'integer' : part?.type))
  return new Set(kinds.filter((kind) => kind !== undefined))
}

function childSchema(schema: JsonSchema | undefined, name: string): JsonSchema | undefined {
  const properties = schema?.properties
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name]
  return Object.values(schema?.patternProperties ?? {})[0]
}

function safe(anchor: string): string {
  return quote(anchor).slice(1, -1)
}
