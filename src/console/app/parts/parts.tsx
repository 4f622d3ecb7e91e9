/** Panels, badges, tables and states of loading that every page is made of. */
import type { ComponentChildren } from 'preact'
import { CallFailed } from '../api.ts'
import { useLocale } from '../i18n/locale.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'plain'

export function Badge({ tone = 'plain', children }: { tone?: Tone; children: ComponentChildren }) {
  const isState = tone === 'good' || tone === 'warn' || tone === 'bad'
  return <span class={`badge ${tone}${isState ? ' dot' : ''}`}>{children}</span>
}

interface PanelProps {
  readonly title: ComponentChildren
  readonly aside?: ComponentChildren
  /** Without padding, for a table. */
  readonly isFlush?: boolean
  readonly children: ComponentChildren
}

export function Panel({ title, aside, isFlush = false, children }: PanelProps) {
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{title}</h2>
        {aside}
      </div>
      {isFlush ? children : <div class="panel-body">{children}</div>}
    </section>
  )
}

export interface Column<Row> {
  readonly label: string
  readonly isNumber?: boolean
  /** Two numbers. */
  readonly isPair?: boolean
  readonly isTight?: boolean
  /** Free text that may break anywhere, such as a path. */
  readonly isLong?: boolean
  readonly cell: (row: Row) => ComponentChildren
}

interface TableProps<Row> {
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row, index: number) => string
  readonly empty: string
}

export function Table<Row>({ label, columns, rows, keyOf, empty }: TableProps<Row>) {
  if (rows.length === 0) return <p class="empty">{empty}</p>
  const classOf = ({ isNumber, isPair, isTight, isLong }: Column<Row>) =>
    isPair ? 'number pair' : isNumber ? 'number' : isTight ? 'tight' : isLong ? 'long' : ''
  return (
    <div class="scroll">
      <table class="cards" aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.label} scope="col" class={classOf(column)}>
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={keyOf(row, index)}>
              {columns.map((column) => (
                <td key={column.label} class={classOf(column)} data-label={column.label}>
                  <div>{column.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Pairs of a name and a value. */
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.flatMap(([name, value]) => [<dt key={`${name}-name`}>{name}</dt>, <dd key={`${name}-value`}>{value}</dd>])}
    </dl>
  )
}

export function Note({ tone = 'plain', children }: { tone?: Tone; children: ComponentChildren }) {
  return <p class={`note ${tone}`}>{children}</p>
}

/** The reason why a call failed, read out when it appears. */
export function Failure({ error }: { error: unknown }) {
  const { text } = useLocale()
  const message = error instanceof CallFailed ? describe(error, text.failure.noAnswer) : String(error)
  return (
    <div role="alert">
      <Note tone="bad">{message}</Note>
    </div>
  )
}

function describe({ status, code, message }: CallFailed, noAnswer: string): string {
  return status === 0 ? noAnswer : [`${status} ${code}`, message].filter((part) => part.trim() !== '').join(' · ')
}

export function Chips({ of }: { of: readonly string[] }) {
  return (
    <span class="chips">
      {of.map((word) => (
        <span key={word} class="badge">
          {word}
        </span>
      ))}
    </span>
  )
}

export function Meter({ value, max, label }: { value: number; max: number; label: string }) {
  return <progress class="meter" value={Math.min(value, max)} max={max} aria-label={label} />
}

/** The place of a page until the first answer. */
export function Loading() {
  const { text } = useLocale()
  return <p class="panel empty loading">{text.common.loading}</p>
}
