/** A line chart of the last minutes with a legend that shows the values under the pointer. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import { NONE } from '../format.ts'
import { useLocale } from '../i18n/locale.ts'
import { createPlot, type Plot, type PlotLine } from './plot.ts'

export interface Line extends PlotLine {
  readonly label: string
  readonly values: readonly (number | null)[]
}

interface ChartProps {
  readonly title: string
  /** Seconds since 1970. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly show: (value: number) => string
}

export function Chart({ title, times, lines, show }: ChartProps) {
  const { format, language } = useLocale()
  const [point, setPoint] = useState<number | null>(null)
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot | null>(null)
  const data = [times, ...lines.map(({ values }) => values)] as uPlot.AlignedData

  useEffect(() => {
    if (place.current === null) return
    const clock = (seconds: number) => format.clock(seconds * 1000)
    const created = createPlot(place.current, { lines, show, clock, onPoint: setPoint }, data)
    plot.current = created
    return () => created.close()
  }, [language])

  useEffect(() => plot.current?.update(data), [times])

  const shown = (values: Line['values']) => values[point ?? values.length - 1] ?? null
  return (
    <section class="panel" aria-label={title}>
      <div class="panel-head">
        <h2>{title}</h2>
        <div class="legend">
          {lines.map(({ label, colour, values }) => {
            const value = shown(values)
            return (
              <span key={label} class={`line-${colour}`}>
                {label} <b>{value === null ? NONE : show(value)}</b>
              </span>
            )
          })}
        </div>
      </div>
      <div class="chart" ref={place} role="img" aria-label={title} />
    </section>
  )
}
