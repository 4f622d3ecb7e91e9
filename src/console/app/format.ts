/** Numbers, durations, sizes and times for a reader, in the language of the console. */
import type { Language } from './i18n/language.ts'

export interface Format {
  /** 1,234 or 12.3K. */
  count(value: number): string
  /** One decimal below 10. */
  rate(value: number): string
  percent(share: number): string
  milliseconds(ms: number | null): string
  duration(ms: number): string
  bytes(value: number): string
  /** Date and time. */
  time(iso: string | number): string
  clock(iso: string | number): string
  date(iso: string | number): string
  /** Such as "3 minutes ago" or "in 5 days". */
  relative(iso: string | number, now: number): string
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000]
]
export const NONE = '–'

export function createFormat(language: Language): Format {
  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 })
  const compact = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 })
  const short = new Intl.NumberFormat(language, { maximumFractionDigits: 1 })
  const percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 })
  const time = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' })
  const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium', hourCycle: 'h23' })
  const date = new Intl.DateTimeFormat(language, { dateStyle: 'medium' })
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  const unit = (value: number, name: string) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'short' }).format(value)
  return {
    count: (value) => (Math.abs(value) < 100_000 ? whole : compact).format(value),
    rate: (value) => (value < 10 ? short : whole).format(value),
    percent: (share) => percent.format(share),
    milliseconds: (ms) => (ms === null ? NONE : ms < 10 ? `${short.format(ms)} ms` : milliseconds(ms, whole, short)),
    duration: (ms) => durationOf(ms, unit),
    bytes: (value) => bytesOf(value, short),
    time: (at) => time.format(new Date(at)),
    clock: (at) => clock.format(new Date(at)),
    date: (at) => date.format(new Date(at)),
    relative(at, now) {
      const ms = new Date(at).getTime() - now
      const [name, size] = UNITS.find(([, length]) => Math.abs(ms) >= length) ?? (['second', 1000] as const)
      return relative.format(Math.trunc(ms / size), name)
    }
  }
}

function milliseconds(ms: number, whole: Intl.NumberFormat, short: Intl.NumberFormat): string {
  return ms < 10_000 ? `${whole.format(ms)} ms` : `${short.format(ms / 1000)} s`
}

/** The two largest units. */
function durationOf(ms: number, unit: (value: number, name: string) => string): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const parts: string[] = []
  let rest = ms
  for (const [name, size] of UNITS) {
    const value = Math.floor(rest / size)
    if (value > 0) parts.push(unit(value, name))
    rest -= value * size
    if (parts.length === 2) break
  }
  return parts.join(' ')
}

function bytesOf(value: number, short: Intl.NumberFormat): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10))
  return `${short.format(value / 1024 ** power)} ${units[power]}`
}
