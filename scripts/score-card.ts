/** Builds the tables of docs/security.md: the cases shared with public suites, and every row of
 *  the corpus with its answer. */
import { catalogue } from '../src/errors.ts'
import { FAMILIES, type Family, type Relayed, type Row, SUITES } from '../src/selftest/case.ts'
import { casesFor, createSample, ROWS } from '../src/selftest/corpus.ts'

const BEGIN = '<!-- score card: written by npm run generate -->'
const END = '<!-- end of the score card -->'

const TITLES: Readonly<Record<Family, string>> = {
  paths: 'Paths',
  headers: 'Headers',
  framing: 'Framing',
  tokens: 'Tokens',
  answers: 'Answers of a backend'
}

const SAMPLE = createSample()

/** Returns the page with a current score card. */
export function withScoreCard(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error('docs/security.md has no place for the score card')
  return `${page.slice(0, begin + BEGIN.length)}\n\n${scoreCard()}\n${page.slice(end)}`
}

function scoreCard(): string {
  const counts = FAMILIES.map((family) => [TITLES[family], rowsOf(family).length, countOf(rowsOf(family))] as const)
  const summary = counts.map(([title, rows, cases]) => `| ${title} | ${rows} | ${cases} |`)
  const all = `| **all** | ${ROWS.length} | ${countOf(ROWS)} |`
  const parts = ['| family | rules | cases |', '|---|---|---|', ...summary, all, '', ...suites(), '']
  for (const family of FAMILIES) {
    parts.push(`### ${TITLES[family]}`, '', '| rule | | cases | wxgate answers | behind it |', '|---|---|---|---|---|')
    parts.push(...rowsOf(family).map(toLine), '')
  }
  return parts.join('\n')
}

function suites(): string[] {
  const cases = casesFor(SAMPLE)
  const lines = Object.values(SUITES).map((suite) => {
    const count = cases.filter((attack) => attack.suites?.includes(suite)).length
    return `| ${suite} | ${count} | ${count} |`
  })
  return ['| requests as in | cases | wxgate passes |', '|---|---|---|', ...lines]
}

function toLine(row: Row): string {
  const cells = [row.id, row.rule, countOf([row]), answerOf(row), row.sources.join(', ')]
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
}

function answerOf({ expected }: Row): string {
  if (expected.kind === 'relayed') return answerOfRelay(expected)
  if (expected.kind === 'served') return expected.isHidden ? 'served, the header removed' : 'served'
  if (expected.codes.length === 0) return String(expected.statuses[0])
  const answers = expected.codes.map((code) => `${catalogue[code].status} ${code}`)
  return `${answers.join(', ')}${expected.mustClose ? ', then the end of the connection' : ''}`
}

function answerOfRelay({ statuses, isRefusable, isBreakable }: Relayed): string {
  const relayed = statuses.length > 0 ? ['passed on'] : []
  const refused = isRefusable ? ['502 upstream_invalid'] : []
  return [...relayed, ...refused, ...(isBreakable ? ['a connection that breaks off'] : [])].join(' or ')
}

const rowsOf = (family: Family) => ROWS.filter((row) => row.family === family).sort((a, b) => a.id.localeCompare(b.id))
const countOf = (rows: readonly Row[]) => rows.reduce((sum, row) => sum + row.attacks(SAMPLE).length, 0)
