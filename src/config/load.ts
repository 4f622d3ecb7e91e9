/** gateway.yaml to a configuration, or to everything that is wrong with it. */
import { dirname, resolve } from 'node:path'
import { notAvailable, patternSteps } from './availability.ts'
import { check } from './check.ts'
import type { GatewayConfig } from './config.ts'
import { type ReadFile, readFile, readText } from './files.ts'
import type { Environment } from './interpolate.ts'
import { lint } from './lint.ts'
import { type ParsedText, parseYaml } from './parse.ts'
import { type Path, type Problem, pointer } from './problem.ts'
import { readTree, type Tree } from './read-tree.ts'
import { resolveConfig } from './resolve.ts'
import { listeners } from './rules/listeners.ts'
import { routes } from './rules/routes.ts'
import type { RuleContext } from './rules/rule.ts'
import { trust } from './rules/trust.ts'
import { upstreams } from './rules/upstreams.ts'
import { checkedSchema, type Draft, type Written } from './schema.ts'

export interface LoadOptions {
  /** As the user named it; problems repeat it. */
  readonly file: string
  /** What a relative `file` starts from; the working directory of the process unless told. */
  readonly cwd?: string
  /** The content, when it is at hand already. */
  readonly text?: string
  readonly env: Environment
  readonly readFile?: ReadFile
  /** NODE_ENV=production: the sandbox, generated secrets and a store in memory are refused unless `allow` names them. */
  readonly production: boolean
  readonly allow: ReadonlySet<string>
}

export type LoadResult =
  | { readonly ok: true; readonly config: GatewayConfig; readonly warnings: Problem[] }
  | {
      readonly ok: false
      readonly problems: Problem[]
      readonly warnings: Problem[]
      /** What there is of the right type; null when the file is not even YAML. */
      readonly draft: Draft<Written> | null
    }

/** Never throws. The word `generated` is still among the secrets: see {@link resolveGeneratedSecret}. */
export function loadConfig(options: LoadOptions): LoadResult {
  try {
    return load(options)
  } catch (error) {
    return refuse(
      options.file,
      `the file cannot be understood: ${error instanceof Error ? error.name : 'unknown error'}`
    )
  }
}

function load(options: LoadOptions): LoadResult {
  const { file, env } = options
  const place = resolve(options.cwd ?? '.', file)
  const read = options.readFile ?? readFile
  const source = options.text === undefined ? readText(read, place) : { ok: true as const, text: options.text }
  if (!source.ok) return refuse(file, `the file cannot be read: ${source.reason}`)
  const result = parseYaml(file, source.text)
  if (!result.ok) return { ok: false, problems: result.problems, warnings: [], draft: null }
  return understand(result.parsed, { ...options, directory: dirname(place), env, readFile: read })
}

function understand(parsed: ParsedText, options: LoadOptions & { directory: string; readFile: ReadFile }): LoadResult {
  const tree = readTree(parsed, checkedSchema, options)
  const { report } = tree
  const known = new Set([...tree.broken, ...refuseUnavailable(tree)])
  const draft = check(tree.value, known, report)
  const context: RuleContext = {
    draft,
    report,
    isProduction: options.production,
    allow: options.allow,
    directory: options.directory,
    readFile: options.readFile
  }
  for (const rule of [listeners, trust, upstreams, routes, lint]) rule(context)
  const problems = report.errors()
  if (problems.length > 0) return { ok: false, problems, warnings: report.warnings(), draft }
  return { ok: true, config: resolveConfig(draft as Written, options.directory, report), warnings: report.warnings() }
}

/** The places of what this version cannot do. */
function refuseUnavailable({ value, report }: Tree): string[] {
  return notAvailable.flatMap((pattern) =>
    find(value, patternSteps(pattern)).map((path) => {
      report.error(path, 'is not available yet in this version', 'remove it', 'key')
      return pointer(path)
    })
  )
}

function find(value: unknown, [step, ...rest]: readonly string[], path: Path = []): Path[] {
  if (step === undefined) return [path]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value) !== (step === '[]')) return []
  const isEvery = step === '[]' || step === '*'
  return Object.entries(value)
    .filter(([key]) => isEvery || key === step)
    .flatMap(([key, inside]) => find(inside, rest, [...path, step === '[]' ? Number(key) : key]))
}

function refuse(file: string, message: string): LoadResult {
  return { ok: false, problems: [{ file, line: 1, column: 1, path: '', message }], warnings: [], draft: null }
}
