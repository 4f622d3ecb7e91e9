/** Prints the summary of a benchmark and writes results.md. */
import type { LoginFigures } from './login.ts'
import { type Cell, cpuRatio, findCell, medianOf, ratioOf, type Sample } from './statistics.ts'
import { BEFORE, REFERENCE, STOCK, subjects } from './subjects.ts'

export interface Report {
  readonly cells: readonly Cell[]
  readonly manyTokens: number
  readonly login: LoginFigures | undefined
  /** The reasons for missing or doubtful figures. */
  readonly notes: readonly string[]
  /** Name and version of every program involved. */
  readonly versions: readonly (readonly [string, string])[]
  readonly settings: string
}

interface Target {
  readonly sentence: string
  readonly limit: number
  readonly value: number | undefined
  readonly unit: string
}

function targetsOf({ cells, manyTokens, login }: Report): Target[] {
  const ratio = (subject: string, tokens: number, other: string, otherTokens: number): number | undefined =>
    cpuRatio(findCell(cells, subject, tokens), findCell(cells, other, otherTokens))
  return [
    {
      sentence: 'CPU per request, to stock, both without a log',
      limit: 0.6,
      value: ratio('wxgate-nolog', 1, STOCK, 1),
      unit: '×'
    },
    {
      sentence: 'CPU per request, to stock, both with a log',
      limit: 0.6,
      value: ratio('wxgate', 1, 'stock-log', 1),
      unit: '×'
    },
    {
      sentence: `CPU per request, ${manyTokens} tokens to one`,
      limit: 1.25,
      value: ratio('wxgate', manyTokens, 'wxgate', 1),
      unit: '×'
    },
    ...(findCell(cells, BEFORE, 1) === undefined
      ? []
      : [
          {
            sentence: 'CPU per request, to the version before',
            limit: 1.05,
            value: ratio('wxgate', 1, BEFORE, 1),
            unit: '×'
          },
          {
            sentence: `CPU per request, to the version before, ${manyTokens} tokens`,
            limit: 1.05,
            value: ratio('wxgate', manyTokens, BEFORE, manyTokens),
            unit: '×'
          }
        ]),
    { sentence: 'CPU per login', limit: 2, value: login?.cpuMsPerLogin, unit: 'ms' },
    { sentence: 'Start to ready', limit: 700, value: login?.readyMs, unit: 'ms' }
  ]
}

const columns: readonly (readonly [string, (cell: Cell, all: readonly Cell[]) => string])[] = [
  ['subject', (cell) => cell.subject],
  ['tokens', (cell) => (subjects.find(({ name }) => name === cell.subject)?.auth == null ? '–' : String(cell.tokens))],
  ['CPU µs/request', (cell) => figure(cell, 'cpuMicrosPerRequest', 1)],
  ['min–max', (cell) => spread(cell)],
  [`× ${REFERENCE}`, (cell, all) => times(cpuRatio(cell, findCell(all, REFERENCE, 1)))],
  [`× ${STOCK}`, (cell, all) => times(cpuRatio(cell, findCell(all, STOCK, 1)))],
  ['requests/s', (cell) => figure(cell, 'requestsPerSecond', 0)],
  ['p50 ms', (cell) => figure(cell, 'p50', 2)],
  ['p99 ms', (cell) => figure(cell, 'p99', 2)],
  [`p99 × ${REFERENCE}`, (cell, all) => times(ratioOf('p99', cell, findCell(all, REFERENCE, 1)))],
  [`p99 × ${BEFORE}`, (cell, all) => times(ratioOf('p99', cell, findCell(all, BEFORE, cell.tokens)))],
  [`× ${BEFORE}`, (cell, all) => times(cpuRatio(cell, findCell(all, BEFORE, cell.tokens)))],
  ['core busy', (cell) => `${Math.round(medianOf(cell, 'busy') * 100)} %`]
]

function figure(cell: Cell, field: keyof Sample, digits: number): string {
  return medianOf(cell, field).toFixed(digits)
}

function spread(cell: Cell): string {
  const values = cell.samples.map((sample) => sample.cpuMicrosPerRequest)
  return `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '–' : ratio.toFixed(2)
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

export function figuresTable(cells: readonly Cell[]): string {
  const shown = columns.filter(([title]) => !title.endsWith(BEFORE) || findCell(cells, BEFORE, 1) !== undefined)
  return table(
    shown.map(([title]) => title),
    cells.map((cell) => shown.map(([, show]) => show(cell, cells)))
  )
}

export function targetsTable(report: Report): string {
  return table(
    ['target', 'limit', 'measured', 'holds'],
    targetsOf(report).map(({ sentence, limit, value, unit }) => [
      sentence,
      `≤ ${limit} ${unit}`,
      value === undefined ? 'not measured' : `${value.toFixed(2)} ${unit}`,
      value === undefined ? '–' : value <= limit ? 'yes' : 'NO'
    ])
  )
}

/** False when a measured figure exceeds its limit. */
export function targetsHold(report: Report): boolean {
  return targetsOf(report).every(({ value, limit }) => value === undefined || value <= limit)
}

export function markdown(report: Report): string {
  const { cells, login, notes, versions, settings } = report
  const measured = subjects.filter(({ name }) => cells.some((cell) => cell.subject === name))
  return `# Benchmark results

Written by \`npm run bench\`. Absolute figures change with the machine by a factor of two and more; the ratios were taken
in turns in one run and mean something elsewhere too.

${settings}

${figuresTable(cells)}

Median of the rounds. CPU is what the kernel counts for the subject's processes, user and system. The ratios compare each
round with the same round of the other, with one token. A core that is not busy was waiting for the load: read the CPU
there, not the requests per second.

${measured.map(({ name, auth }) => `- **${name}**: ${auth ?? 'plain proxy, tokens are not looked at; no log'}`).join('\n')}

## Targets

${targetsTable(report)}
${login === undefined ? '' : `\n${login.description}\n`}
## Versions

${versions.map(([what, version]) => `- ${what}: ${version}`).join('\n')}
${notes.length === 0 ? '' : `\n## Notes\n\n${notes.map((note) => `- ${note}`).join('\n')}\n`}`
}
