/** The uPlot of one chart: size, colours of the style sheet, axes. */
import uPlot from 'uplot'

export interface PlotLine {
  /** Number of the colour in the style sheet, from 1. */
  readonly colour: 1 | 2 | 3 | 4
  readonly isFilled?: boolean
}

export interface PlotOptions {
  readonly lines: readonly PlotLine[]
  readonly show: (value: number) => string
  readonly clock: (seconds: number) => string
  /** Index of the time under the pointer, or null. */
  readonly onPoint: (index: number | null) => void
}

export interface Plot {
  update(data: uPlot.AlignedData): void
  close(): void
}

const HEIGHT = 178
/** Charts with this key move their cursors together. */
const SYNC = 'live'

export function createPlot(element: HTMLElement, options: PlotOptions, first: uPlot.AlignedData): Plot {
  let data = first
  let plot: uPlot | null = null
  const width = () => Math.max(120, element.clientWidth - 16)
  const draw = () => {
    plot?.destroy()
    plot = new uPlot(optionsOf(element, width(), options), data, element)
  }
  draw()
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', draw)
  const resize = new ResizeObserver(() => plot?.setSize({ width: width(), height: HEIGHT }))
  resize.observe(element)
  return {
    update(next) {
      data = next
      plot?.setData(next)
    },
    close() {
      scheme.removeEventListener('change', draw)
      resize.disconnect()
      plot?.destroy()
    }
  }
}

function optionsOf(element: HTMLElement, width: number, options: PlotOptions): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const font = `11px ${style.fontFamily}`
  const axis = { stroke: colour('--faint'), font, ticks: { show: false } }
  return {
    width,
    height: HEIGHT,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: SYNC }, points: { size: 7 } },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [
      { ...axis, size: 26, space: 62, grid: { show: false }, values: (_plot, seconds) => seconds.map(options.clock) },
      {
        ...axis,
        size: 58,
        space: 36,
        grid: { stroke: colour('--line'), width: 1 },
        values: (_plot, values) => values.map(options.show)
      }
    ],
    series: [
      {},
      ...options.lines.map((line) => {
        const stroke = colour(`--chart-${line.colour}`)
        return { stroke, width: 1.5, points: { show: false }, ...(line.isFilled ? { fill: `${stroke}1f` } : {}) }
      })
    ],
    hooks: { setCursor: [(self) => options.onPoint(self.cursor.idx ?? null)] }
  }
}
