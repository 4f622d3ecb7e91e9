/** Report of a run, for filing: target, date, counts and every failed case. */
import { FAMILIES, type Family, SUITES, type Suite } from './case.ts'
import { showBytes } from './redaction.ts'
import type { CaseResult, SelftestResult } from './run.ts'
import type { Answer } from './wire.ts'

export interface Counts {
  readonly cases: number
  readonly passed: number
  readonly failed: number
  readonly unknown: number
}

/** A failed case. The token does not appear in it. */
export interface Finding {
  readonly id: string
  readonly family: Family
  readonly rule: string
  readonly sources: readonly string[]
  readonly reason: string
  /** Control characters are escaped; one line of text per line of the request. */
  readonly sent: string
  readonly answers: readonly string[]
  readonly isClosed: boolean
}

export interface Report {
  readonly tool: 'wxgate selftest'
  readonly version: string
  /** ISO 8601. */
  readonly date: string
  readonly target: string
  readonly route: string
  readonly withToken: boolean
  readonly answersLikeWxgate: boolean
  readonly upstreamEchoes: boolean
  readonly requests: number
  readonly aliveAfterwards: boolean
  readonly passed: boolean
  readonly counts: Readonly<Record<Family | 'all', Counts>>
  /** Cases that a public suite also has. */
  readonly suites: Readonly<Record<Suite, Counts>>
  readonly failures: readonly Finding[]
  /** Cases that could not be judged, by reason. */
  readonly unknown: Readonly<Record<string, readonly string[]>>
}

export interface ReportContext {
  readonly version: string
  readonly now: Date
  readonly target: string
  readonly token: string | null
}

export function createReport({ facts, results, isAlive, requests }: SelftestResult, context: ReportContext): Report {
  const { version, now, target, token } = context
  const unknown: Record<string, string[]> = {}
  for (const { attack, verdict } of results) {
    if (verdict.outcome !== 'unknown') continue
    unknown[verdict.reason] = [...(unknown[verdict.reason] ?? []), attack.id]
  }
  const failures = results.filter(({ verdict }) => verdict.outcome === 'failed')
  const byFamily = FAMILIES.map((family) => [
    family,
    count(results.filter(({ attack }) => attack.row.family === family))
  ])
  const bySuite = Object.values(SUITES).map((suite) => [
    suite,
    count(results.filter(({ attack }) => attack.suites?.includes(suite)))
  ])
  return {
    tool: 'wxgate selftest',
    version,
    date: now.toISOString(),
    target,
    route: facts.subject.route,
    withToken: facts.hasToken,
    answersLikeWxgate: facts.isWxgate,
    upstreamEchoes: facts.isEcho,
    requests,
    aliveAfterwards: isAlive,
    passed: isAlive && failures.length === 0,
    counts: { ...Object.fromEntries(byFamily), all: count(results) } as Report['counts'],
    suites: Object.fromEntries(bySuite) as Report['suites'],
    failures: failures.map((result) => toFinding(result, token)),
    unknown
  }
}

function count(results: readonly CaseResult[]): Counts {
  const of = (outcome: string) => results.filter(({ verdict }) => verdict.outcome === outcome).length
  return { cases: results.length, passed: of('passed'), failed: of('failed'), unknown: of('unknown') }
}

function toFinding({ attack, verdict, answers, isClosed }: CaseResult, token: string | null): Finding {
  const { id, row, bytes } = attack
  return {
    id,
    family: row.family,
    rule: row.rule,
    sources: row.sources,
    reason: verdict.reason,
    sent: showBytes(bytes, token),
    answers: answers.map((answer) => showBytes(asText(answer), token)),
    isClosed
  }
}

function asText({ status, headers, body }: Answer): string {
  return `${status}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

export function formatReport(report: Report, format: 'text' | 'json' | 'markdown'): string {
  if (format === 'json') return `${JSON.stringify(report, null, 2)}\n`
  return format === 'markdown' ? asMarkdown(report) : asPlainText(report)
}

const heading = ({ version, target, route, date }: Report) =>
  `wxgate selftest ${version} against ${target}, route ${route}, ${date}`

function remarks(report: Report): string[] {
  const { answersLikeWxgate, withToken, upstreamEchoes, requests, aliveAfterwards } = report
  return [
    `The target ${answersLikeWxgate ? 'is wxgate: its error codes are checked' : 'is another gateway: its error codes are not checked'}.`,
    withToken
      ? `A token was given; the upstream ${upstreamEchoes ? 'echoes' : 'does not echo'} the headers that it receives.`
      : 'No token was given: requests with a token were not tested.',
    `${requests} requests were sent. The gateway ${aliveAfterwards ? 'answers as before' : 'DOES NOT ANSWER AS BEFORE'}.`
  ]
}

const verdictLine = ({ passed, counts }: Report) =>
  passed
    ? `PASSED: ${counts.all.passed} of ${counts.all.cases} cases${counts.all.unknown > 0 ? `, ${counts.all.unknown} could not be judged` : ''}`
    : `FAILED: ${counts.all.failed} of ${counts.all.cases} cases`

function rows({ counts, suites }: Report): (readonly [string, Counts])[] {
  const byFamily = [...FAMILIES, 'all' as const].map((name) => [name, counts[name]] as const)
  return [...byFamily, ...Object.values(SUITES).map((name) => [`as in ${name}`, suites[name]] as const)]
}

function asPlainText(report: Report): string {
  const cells = (values: readonly (string | number)[]) =>
    values.map((value, index) => (index === 0 ? String(value).padEnd(18) : String(value).padStart(8))).join('')
  const parts = [heading(report), '', ...remarks(report), '', cells(['family', 'cases', 'passed', 'failed', 'unknown'])]
  for (const [name, { cases, passed, failed, unknown }] of rows(report))
    parts.push(cells([name, cases, passed, failed, unknown]))
  for (const failure of report.failures) {
    parts.push(
      '',
      `${failure.id} ${failure.rule}`,
      `  ${failure.reason}${from(failure)}`,
      '  sent:',
      indent(failure.sent)
    )
    for (const answer of failure.answers) parts.push('  answered:', indent(answer))
    if (failure.isClosed) parts.push('  and the connection was closed')
  }
  for (const [reason, ids] of Object.entries(report.unknown)) parts.push('', `not judged, ${reason}: ${ids.join(' ')}`)
  return `${[...parts, '', verdictLine(report)].join('\n')}\n`
}

function asMarkdown(report: Report): string {
  const parts = [
    `# ${heading(report)}`,
    '',
    `**${verdictLine(report)}**`,
    '',
    ...remarks(report).map((text) => `- ${text}`),
    ''
  ]
  parts.push('| family | cases | passed | failed | unknown |', '|---|---|---|---|---|')
  for (const [name, { cases, passed, failed, unknown }] of rows(report))
    parts.push(`| ${name} | ${cases} | ${passed} | ${failed} | ${unknown} |`)
  for (const failure of report.failures) {
    parts.push(
      '',
      `## ${failure.id}: ${failure.rule}`,
      '',
      `${failure.reason}${from(failure)}.`,
      '',
      'Sent:',
      fence(failure.sent)
    )
    for (const answer of failure.answers) parts.push('', 'Answered:', fence(answer))
    if (failure.isClosed) parts.push('', 'The connection was closed.')
  }
  const notJudged = Object.entries(report.unknown)
  if (notJudged.length > 0)
    parts.push('', '## Not judged', '', ...notJudged.map(([reason, ids]) => `- ${reason}: ${ids.join(', ')}`))
  return `${parts.join('\n')}\n`
}

const from = ({ sources }: Finding) => (sources.length > 0 ? ` (${sources.join(', ')})` : '')
const indent = (text: string) => text.replace(/^/gm, '    ')

/** A fence longer than any run of backticks in the text. */
function fence(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const marks = '`'.repeat(longest + 1)
  return `${marks}text\n${text}\n${marks}`
}
