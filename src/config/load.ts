/** Loads gateway.yaml: the result is a configuration, or every fault of the file at once. */
import { dirname, resolve } from 'node:path'
import { check } from './check.ts'
import { checkRules, type GatewayConfig, resolveConfig, type Written } from './config.ts'
import { fillFromEnvironment } from './environment-defaults.ts'
import { type ReadFile, readFile, readText } from './files.ts'
import type { Environment } from './interpolate.ts'
import { type ParsedText, parseYaml } from './parse.ts'
import type { Problem } from './problem.ts'
import { readTree } from './read-tree.ts'
import { checkedSchema } from './schema.ts'
import type { Draft, RuleContext } from './section.ts'

export interface LoadOptions {
  /** Path as the user gave it; problems repeat it. */
  readonly file: string
  /** Base of a relative `file`; default: the working directory of the process. */
  readonly cwd?: string
  /** Content of the file; default: read from `file`. */
  readonly text?: string
  readonly env: Environment
  readonly readFile?: ReadFile
  /** See {@link RuleContext}; default: not checked. */
  readonly writeFault?: (path: string) => string | null
  /** NODE_ENV=production: settings such as the sandbox are refused unless `allow` names them. */
  readonly production: boolean
  readonly allow: ReadonlySet<string>
}

export type LoadResult =
  | {
      readonly ok: true
      readonly config: GatewayConfig
      /** The line of each route in the file. It stays out of the configuration, which a reload
       *  compares. */
      readonly routeLines: readonly number[]
      readonly warnings: Problem[]
    }
  | {
      readonly ok: false
      readonly problems: Problem[]
      readonly warnings: Problem[]
      /** The valid parts; null for a file that is not YAML. */
      readonly draft: Draft<Written> | null
    }

/** Never throws. The word `generated` is still among the secrets: see {@link
 *  resolveGeneratedSecret}. */
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
  const secretFiles = new Set<string>()
  const readFile: ReadFile = (path) => {
    secretFiles.add(path)
    return options.readFile(path)
  }
  const tree = readTree(parsed, checkedSchema, { ...options, readFile })
  const { report } = tree
  fillFromEnvironment(tree.value, checkedSchema, options.env, report)
  const draft = check(tree.value, tree.broken, report)
  const { directory, allow, production: isProduction, writeFault = () => null } = options
  checkRules(draft, { report, isProduction, allow, directory, readFile: options.readFile, writeFault })
  const [problems, warnings] = [report.errors(), report.warnings()]
  if (problems.length > 0) return { ok: false, problems, warnings, draft }
  const config = resolveConfig(draft as Written, directory, [...secretFiles])
  const routeLines = config.routes.map((_, index) => report.line(['routes', index]))
  return { ok: true, config, routeLines, warnings }
}

function refuse(file: string, message: string): LoadResult {
  return { ok: false, problems: [{ file, line: 1, column: 1, path: '', message }], warnings: [], draft: null }
}
