/** What a security reviewer can file: what was tested, when, and what did not hold. */
import type { Family } from './case.ts'
import { FAMILIES } from './corpus.ts'
import { showBytes } from './redaction.ts'
import type { CaseResult, SelftestResult } from './run.ts'
import type { Answer } from './wire.ts'

export interface Counts {
  readonly cases: number
  readonly passed: number
  readonly failed: number
  readonly unknown: number
}

/** A case that did not pass. The token does not appear in it. */
export interface Finding {
  readonly id: string
  readonly family: Family
  readonly rule: string
  readonly sources: readonly string[]
  readonly reason: string
  /** Bytes with control characters as escapes, one line of text for one line of the request. */
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
  readonly failures: readonly Finding[]
  /** Cases that could not be told, by the reason. */
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
    `The target ${answersLikeWxgate ? 'answers in the words of wxgate' : 'is another gateway: its codes are not checked'}.`,
    withToken
      ? `A token was given; the upstream ${upstreamEchoes ? 'tells which headers it received' : 'does not tell which headers it received'}.`
      : 'No token was given: what a client with a token can do was not tested.',
    `${requests} requests were sent. The gateway ${aliveAfterwards ? 'answers as before' : 'DOES NOT ANSWER AS BEFORE'}.`
  ]
}

const verdictLine = ({ passed, counts }: Report) =>
  passed
    ? `PASSED: ${counts.all.passed} of ${counts.all.cases} cases${counts.all.unknown > 0 ? `, ${counts.all.unknown} could not be told` : ''}`
    : `FAILED: ${counts.all.failed} of ${counts.all.cases} cases`

function rows({ counts }: Report): (readonly [string, Counts])[] {
  return [...FAMILIES, 'all' as const].map((name) => [name, counts[name]])
}

function asPlainText(report: Report): string {
  const cells = (values: readonly (string | number)[]) =>
    values.map((value, index) => (index === 0 ? String(value).padEnd(8) : String(value).padStart(8))).join('')
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
  for (const [reason, ids] of Object.entries(report.unknown)) parts.push('', `not told, ${reason}: ${ids.join(' ')}`)
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
  const notTold = Object.entries(report.unknown)
  if (notTold.length > 0)
    parts.push('', '## Not told', '', ...notTold.map(([reason, ids]) => `- ${reason}: ${ids.join(', ')}`))
  return `${parts.join('\n')}\n`
}

const from = ({ sources }: Finding) => (sources.length > 0 ? ` (${sources.join(', ')})` : '')
const indent = (text: string) => text.replace(/^/gm, '    ')

/** A fence longer than any run of backticks in what it holds. */
function fence(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const marks = '`'.repeat(longest + 1)
  return `${marks}text\n${text}\n${marks}`
}
