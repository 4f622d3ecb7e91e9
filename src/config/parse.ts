/** Parses YAML text to a document with positions, or to the list of its syntax faults. */
import { type Document, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { maskPlaceholders } from './interpolate.ts'
import type { Problem } from './problem.ts'
import type { Position } from './report.ts'
import { describeYamlFault } from './yaml-fault.ts'

export interface ParsedText {
  readonly root: Document.Parsed<ParsedNode>['contents']
  /** Undoes {@link maskPlaceholders}. */
  readonly unmask: (text: string) => string
  readonly text: string
  readonly position: (offset: number) => Position
}

export type ParseResult =
  | { readonly ok: true; readonly parsed: ParsedText }
  | { readonly ok: false; readonly problems: Problem[] }

const LARGEST = 1024 * 1024
const MOST_PROBLEMS = 20

export function parseYaml(file: string, original: string): ParseResult {
  const whole = (message: string, hint?: string): ParseResult => {
    const problem = { file, line: 1, column: 1, path: '', message }
    return { ok: false, problems: [hint === undefined ? problem : { ...problem, hint }] }
  }
  if (original.length > LARGEST) return whole('the file is larger than 1 MiB')
  const text = original.startsWith('\ufeff') ? original.slice(1) : original
  const { masked, unmask } = maskPlaceholders(text)
  const lineCounter = new LineCounter()
  let document: Document.Parsed<ParsedNode>
  try {
    // read-tree.ts finds duplicate keys in linear time; the parser's own check takes quadratic
    // time.
    document = parseDocument(masked, {
      version: '1.2',
      strict: true,
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter
    })
  } catch {
    return whole('the file is not readable YAML')
  }
  const position = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  // read-tree.ts reports tags at their place.
  const faults = [...document.errors, ...document.warnings.filter((warning) => warning.code !== 'TAG_RESOLVE_FAILED')]
  if (faults.length > 0) {
    const lines = text.split(/\r\n|\r|\n/)
    const problems = faults.slice(0, MOST_PROBLEMS).map((fault) => {
      const place = position(fault.pos[0])
      return { file, ...place, path: '', ...describeYamlFault(fault.code, unmask(fault.message), lines, place.line) }
    })
    return { ok: false, problems: withoutRepeats(problems) }
  }
  if (document.directives.yaml.explicit && document.directives.yaml.version !== '1.2') {
    return whole('the %YAML directive names another version than 1.2', 'leave the directive out')
  }
  if (document.contents === null) return whole('the file is empty')
  return { ok: true, parsed: { root: document.contents, unmask, text, position } }
}

function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems.filter(({ line, message }) => !seen.has(`${line}:${message}`) && seen.add(`${line}:${message}`))
}
