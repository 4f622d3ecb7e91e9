/** Rows as the corpus writes them: texts with placeholders (placeholders.ts), wrapped alike. */
import { type Attack, type Expected, type Family, type Need, type Row, SUITES, type Suite } from '../case.ts'
import { fill } from './placeholders.ts'

export interface RowText {
  readonly id: string
  readonly family: Family
  readonly rule: string
  readonly expected: Expected
  readonly sources?: readonly string[]
  /** A text holds one case per word. `PG| …` marks a case of the suites P and G. */
  readonly cases: string | readonly string[]
  /** Precedes and follows each case. */
  readonly before?: string
  readonly after?: string
  /** One per request in each case; default: `expected`. */
  readonly each?: readonly Expected[]
  readonly needs?: Need
  readonly isFollowed?: boolean
  readonly isHead?: boolean
}

export function toRow(text: RowText): Row {
  const { id, family, rule, expected, sources = [], cases, before = '', after = '' } = text
  const { needs, isFollowed, isHead, each } = text
  const rest = {
    ...(each === undefined ? {} : { expected: each }),
    ...(needs === undefined ? {} : { needs }),
    ...(isFollowed === undefined ? {} : { isFollowed }),
    ...(isHead === undefined ? {} : { isHead })
  }
  const list = typeof cases === 'string' ? cases.trim().split(/\s+/) : cases
  const parsed = list.map((entry) => {
    const mark = /^([PSG]+)\| ?/.exec(entry)
    return { suites: suitesOf(mark?.[1] ?? ''), text: before + entry.slice(mark?.[0].length ?? 0) + after }
  })
  return {
    id,
    family,
    rule,
    expected,
    sources,
    attacks: (subject): Attack[] => parsed.map(({ suites, text }) => ({ ...rest, suites, bytes: fill(text, subject) }))
  }
}

function suitesOf(letters: string): Suite[] {
  return (Object.keys(SUITES) as (keyof typeof SUITES)[]).flatMap((key) => (letters.includes(key) ? [SUITES[key]] : []))
}
