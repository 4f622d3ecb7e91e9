/** Builds the tables of docs/security.md and its Chinese twin: the cases shared with public suites,
 *  and every row of the corpus with its answer. */
import { catalogue } from '../src/errors.ts'
import { FAMILIES, type Family, type Relayed, type Row, SUITES } from '../src/selftest/case.ts'
import { casesFor, createSample, ROWS } from '../src/selftest/corpus.ts'
import type { Translation } from './translations.ts'

const BEGIN = '<!-- score card: written by npm run generate -->'
const END = '<!-- end of the score card -->'

/** Everything in the tables that differs between languages. */
export interface ScoreCardTexts {
  readonly titles: Readonly<Record<Family, string>>
  readonly families: readonly string[]
  readonly all: string
  readonly suites: readonly string[]
  readonly rules: readonly string[]
  rule(row: Pick<Row, 'id' | 'rule'>): string
  readonly served: string
  readonly withoutHeader: string
  readonly closed: string
  readonly relayed: string
  readonly broken: string
  readonly or: string
}

export const english: ScoreCardTexts = {
  titles: {
    paths: 'Paths',
    headers: 'Headers',
    framing: 'Framing',
    tokens: 'Tokens',
    answers: 'Answers of a backend'
  },
  families: ['family', 'rules', 'cases'],
  all: 'all',
  suites: ['requests as in', 'cases', 'wxgate passes'],
  rules: ['rule', '', 'cases', 'wxgate answers', 'behind it'],
  rule: ({ rule }) => rule,
  served: 'served',
  withoutHeader: 'served, the header removed',
  closed: ', then the end of the connection',
  relayed: 'passed on',
  broken: 'a connection that breaks off',
  or: ' or '
}

/** @param translations By id of the row. */
export function createChinese(translations: ReadonlyMap<string, Translation>): ScoreCardTexts {
  return {
    titles: { paths: '路径', headers: '请求头', framing: '分帧', tokens: 'Token', answers: '后端的响应' },
    families: ['类别', '规则', '用例'],
    all: '合计',
    suites: ['请求来自', '用例', 'wxgate 通过'],
    rules: ['规则', '', '用例', 'wxgate 的响应', '来源'],
    rule: ({ id }) => translations.get(id)?.zh ?? '',
    served: '正常处理',
    withoutHeader: '正常处理，请求头被删除',
    closed: '，随后关闭连接',
    relayed: '转发',
    broken: '连接中断',
    or: ' 或 '
  }
}

const SAMPLE = createSample()

/** English text of every rule, by id. */
export function rules(): ReadonlyMap<string, string> {
  return new Map(ROWS.map(({ id, rule }) => [id, rule]))
}

/** Returns the page with a current score card. */
export function withScoreCard(page: string, texts: ScoreCardTexts): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error('the page has no place for the score card')
  return `${page.slice(0, begin + BEGIN.length)}\n\n${scoreCard(texts)}\n${page.slice(end)}`
}

function scoreCard(texts: ScoreCardTexts): string {
  const counts = FAMILIES.map((family) => [texts.titles[family], rowsOf(family).length, countOf(rowsOf(family))])
  const all = [`**${texts.all}**`, ROWS.length, countOf(ROWS)]
  const parts = [...head(texts.families), ...counts.map(line), line(all), '', ...suites(texts), '']
  for (const family of FAMILIES) {
    parts.push(`### ${texts.titles[family]}`, '', ...head(texts.rules))
    parts.push(...rowsOf(family).map((row) => toLine(row, texts)), '')
  }
  return parts.join('\n')
}

function suites(texts: ScoreCardTexts): string[] {
  const cases = casesFor(SAMPLE)
  const lines = Object.values(SUITES).map((suite) => {
    const count = cases.filter((attack) => attack.suites?.includes(suite)).length
    return line([suite, count, count])
  })
  return [...head(texts.suites), ...lines]
}

function toLine(row: Row, texts: ScoreCardTexts): string {
  return line([row.id, texts.rule(row), countOf([row]), answerOf(row, texts), row.sources.join(', ')])
}

function head(columns: readonly string[]): string[] {
  return [line(columns).replaceAll('|  |', '| |'), `|${'---|'.repeat(columns.length)}`]
}

function line(cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
}

function answerOf({ expected }: Row, texts: ScoreCardTexts): string {
  if (expected.kind === 'relayed') return answerOfRelay(expected, texts)
  if (expected.kind === 'served') return expected.isHidden ? texts.withoutHeader : texts.served
  if (expected.codes.length === 0) return String(expected.statuses[0])
  const answers = expected.codes.map((code) => `${catalogue[code].status} ${code}`)
  return `${answers.join(', ')}${expected.mustClose ? texts.closed : ''}`
}

function answerOfRelay({ statuses, isRefusable, isBreakable }: Relayed, texts: ScoreCardTexts): string {
  const relayed = statuses.length > 0 ? [texts.relayed] : []
  const refused = isRefusable ? ['502 upstream_invalid'] : []
  return [...relayed, ...refused, ...(isBreakable ? [texts.broken] : [])].join(texts.or)
}

const rowsOf = (family: Family) => ROWS.filter((row) => row.family === family).sort((a, b) => a.id.localeCompare(b.id))
const countOf = (rows: readonly Row[]) => rows.reduce((sum, row) => sum + row.attacks(SAMPLE).length, 0)
