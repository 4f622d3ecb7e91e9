/** Collects the problems of a file. */
import { formatPath, type Path, type Problem } from './problem.ts'

export interface Position {
  readonly line: number
  readonly column: number
}

/** Position of a value or of its key; for a missing value, of the mapping that should hold it. */
export type Locate = (path: Path, part: 'key' | 'value') => Position

export interface Report {
  error(path: Path, message: string, hint?: string, part?: 'key' | 'value'): void
  warn(path: Path, message: string, hint?: string, part?: 'key' | 'value'): void
  /** An error at a given position. */
  errorAt(position: Position, path: Path, message: string, hint?: string): void
  warnAt(position: Position, path: Path, message: string, hint?: string): void
  /** The line of a path, for messages about two places. */
  line(path: Path): number
  /** Notes the source of a value that is not in the file; messages about it name the source. */
  origin(path: Path, source: string): void
  readonly errors: () => Problem[]
  readonly warnings: () => Problem[]
}

export function createReport(file: string, locate: Locate): Report {
  const errors: Problem[] = []
  const warnings: Problem[] = []
  const origins = new Map<string, string>()
  const add = (list: Problem[], position: Position, at: Path, text: string, hint: string | undefined) => {
    const { line, column } = position
    const path = formatPath(at)
    const source = origins.get(path)
    const message = source === undefined ? text : `${text}, in ${source}`
    list.push({ file, line, column, path, message, ...(hint === undefined ? {} : { hint }) })
  }
  return {
    error: (path, message, hint, part = 'value') => add(errors, locate(path, part), path, message, hint),
    warn: (path, message, hint, part = 'value') => add(warnings, locate(path, part), path, message, hint),
    errorAt: (position, path, message, hint) => add(errors, position, path, message, hint),
    warnAt: (position, path, message, hint) => add(warnings, position, path, message, hint),
    line: (path) => locate(path, 'value').line,
    origin: (path, source) => void origins.set(formatPath(path), source),
    errors: () => inOrder(errors),
    warnings: () => inOrder(warnings)
  }
}

function inOrder(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems
    .filter((problem) => {
      const key = `${problem.line}:${problem.column}:${problem.path}:${problem.message}`
      return !seen.has(key) && seen.add(key)
    })
    .sort((a, b) => a.line - b.line || a.column - b.column)
}
