/** Loads gateway.yaml: the result is a configuration, or every fault of the file at once. */
import { dirname, resolve } from 'node:path'
import { type FileState, fileState } from '../watched-files.ts'
import { check } from './check.ts'
import { checkRules, type GatewayConfig, resolveConfig, type Written } from './config.ts'
import { fillFromEnvironment } from './environment-defaults.ts'
import { type ReadFile, readFile as readRegularFile, readText } from './files.ts'
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

export interface Loaded {
  readonly ok: true
  readonly config: GatewayConfig
  /** The line of each route in the file. It stays out of the configuration, which a reload
   *  compares. */
  readonly routeLines: readonly number[]
  readonly warnings: Problem[]
  /** The configuration file and the files that `{ file: PATH }` names, except for those of a
   *  listener's certificates, which the listener follows. */
  readonly files: readonly FileState[]
}

export interface NotLoaded {
  readonly ok: false
  readonly problems: Problem[]
  readonly warnings: Problem[]
  /** The valid parts; null for a file that is not YAML. */
  readonly draft: Draft<Written> | null
  /** Every file that was read or is absent: a change of one of them can end the fault. */
  readonly files: readonly FileState[]
}

export type LoadResult = Loaded | NotLoaded

/** Never throws. The word `generated` is still among the secrets: see {@link
 *  resolveGeneratedSecret}. */
export function loadConfig(options: LoadOptions): LoadResult {
  const files = new Map<string, FileState>()
  try {
    return load(options, files)
  } catch (error) {
    const reason = error instanceof Error ? error.name : 'unknown error'
    return refuse(options.file, `the file cannot be understood: ${reason}`, files)
  }
}

/** @param files Takes the state that each file had before it was read. */
function load(options: LoadOptions, files: Map<string, FileState>): LoadResult {
  const { file, env } = options
  const place = resolve(options.cwd ?? '.', file)
  const readFile: ReadFile = (path) => {
    // The first state: a file that changes between two readings has another one afterwards.
    if (!files.has(path)) files.set(path, fileState(path))
    return (options.readFile ?? readRegularFile)(path)
  }
  const source = options.text === undefined ? readText(readFile, place) : { ok: true as const, text: options.text }
  if (!source.ok) return refuse(file, `the file cannot be read: ${source.reason}`, files)
  const result = parseYaml(file, source.text)
  if (!result.ok) return { ok: false, problems: result.problems, warnings: [], draft: null, files: [...files.values()] }
  return understand(result.parsed, { ...options, directory: dirname(place), env, readFile }, files)
}

function understand(
  parsed: ParsedText,
  options: LoadOptions & { directory: string; readFile: ReadFile },
  files: ReadonlyMap<string, FileState>
): LoadResult {
  const tree = readTree(parsed, checkedSchema, options)
  const { report } = tree
  fillFromEnvironment(tree.value, checkedSchema, options.env, report)
  const draft = check(tree.value, tree.broken, report)
  const written = [...files.values()]
  const { directory, allow, production: isProduction, readFile, writeFault = () => null } = options
  checkRules(draft, { report, isProduction, allow, directory, readFile, writeFault })
  const [problems, warnings] = [report.errors(), report.warnings()]
  if (problems.length > 0) return { ok: false, problems, warnings, draft, files: [...files.values()] }
  const config = resolveConfig(draft as Written, directory)
  const routeLines = config.routes.map((_, index) => report.line(['routes', index]))
  return { ok: true, config, routeLines, warnings, files: written }
}

function refuse(file: string, message: string, files: ReadonlyMap<string, FileState>): NotLoaded {
  const problems = [{ file, line: 1, column: 1, path: '', message }]
  return { ok: false, problems, warnings: [], draft: null, files: [...files.values()] }
}
