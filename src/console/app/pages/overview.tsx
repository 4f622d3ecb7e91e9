/** Overview: the latest second in numbers, the last minutes as charts, and the state in short. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { NONE } from '../format.ts'
import { useLocale } from '../i18n/locale.ts'
import type { Sample, StatusAnswer } from '../model.ts'
import { Chart } from '../parts/chart.tsx'
import { AttentionPanel } from './attention.tsx'
import { GatewayPanel } from './gateway-panel.tsx'

export function Overview() {
  const { status } = useConsole()
  return (
    <div class="stack overview">
      <Tiles />
      {/* Together, so that nothing moves when the status arrives: on a phone the charts come second. */}
      {status !== null && (
        <>
          <Charts />
          <div class="two">
            <AttentionPanel status={status} />
            <GatewayPanel status={status} />
          </div>
        </>
      )}
    </div>
  )
}

function Tiles() {
  const { text, format } = useLocale()
  const { samples, status } = useConsole()
  const { overview, common } = text
  const sample = samples.at(-1) ?? null
  const rate = (name: Counted) => (sample === null ? NONE : format.rate(perSecond(sample, name)))
  const note = (describe: (status: StatusAnswer) => string) => (status === null ? NONE : describe(status))
  const sinceStart = (ms: number | null) => overview.sinceStart(format.milliseconds(ms))
  return (
    <section class="tiles" aria-label={text.live.live}>
      <Tile label={overview.requests} value={rate('requests')} unit={common.perSecond}>
        {note(({ requests }) => overview.total(format.count(requests.requests)))}
      </Tile>
      <Tile label={overview.errors} value={rate('errors')} unit={common.perSecond}>
        {note((status) => overview.errorShare(format.percent(errorShare(status))))}
      </Tile>
      <Tile label={overview.p50} value={format.milliseconds(latest(samples, 'p50_ms'))}>
        {note(({ requests }) => sinceStart(requests.p50_ms))}
      </Tile>
      <Tile label={overview.p99} value={format.milliseconds(latest(samples, 'p99_ms'))}>
        {note(({ requests }) => sinceStart(requests.p99_ms))}
      </Tile>
      <Tile label={overview.logins} value={rate('logins')} unit={common.perSecond}>
        {note((status) => overview.refusedLogins(format.count(refusedLogins(status))))}
      </Tile>
      <Tile label={overview.wechatErrors} value={rate('wechat_errors')} unit={common.perSecond}>
        {note((status) => overview.total(format.count(wechatErrors(status))))}
      </Tile>
      <Summary sample={sample} />
    </section>
  )
}

interface TileProps {
  readonly label: string
  readonly value: string
  readonly unit?: string
  readonly children: ComponentChildren
}

function Tile({ label, value, unit, children }: TileProps) {
  return (
    <div class="panel tile">
      <span class="tile-label">{label}</span>
      <span class="tile-value">
        {value}
        {unit !== undefined && value !== NONE && <small>{unit}</small>}
      </span>
      <span class="tile-note">{children}</span>
    </div>
  )
}

const SUMMARY_EVERY_MS = 15_000

/** The live numbers for a screen reader, which would read every second otherwise. */
function Summary({ sample }: { sample: Sample | null }) {
  const { text, format } = useLocale()
  const [shown, setShown] = useState<{ readonly at: number; readonly sample: Sample } | null>(null)
  useEffect(() => {
    if (sample === null || (shown !== null && Date.now() - shown.at < SUMMARY_EVERY_MS)) return
    setShown({ at: Date.now(), sample })
  }, [sample])
  return (
    <p class="hidden" aria-live="polite">
      {shown !== null &&
        text.live.summary(
          format.rate(perSecond(shown.sample, 'requests')),
          format.rate(perSecond(shown.sample, 'errors'))
        )}
    </p>
  )
}

function Charts() {
  const { text, format } = useLocale()
  const { samples } = useConsole()
  const { overview } = text
  const times = samples.map(({ time }) => Date.parse(time) / 1000)
  const of = (name: 'in_flight' | 'p50_ms' | 'p99_ms') => samples.map((sample) => sample[name])
  const rateOf = (name: Counted) => samples.map((sample) => perSecond(sample, name))
  return (
    <div class="two">
      <Chart
        title={overview.traffic}
        times={times}
        show={format.rate}
        lines={[
          { label: overview.requests, colour: 1, isFilled: true, values: rateOf('requests') },
          { label: overview.errors, colour: 4, values: rateOf('errors') }
        ]}
      />
      <Chart
        title={overview.latency}
        times={times}
        show={format.milliseconds}
        lines={[
          { label: 'p50', colour: 2, values: of('p50_ms') },
          { label: 'p99', colour: 3, values: of('p99_ms') }
        ]}
      />
      <Chart
        title={overview.loginTraffic}
        times={times}
        show={format.rate}
        lines={[
          { label: overview.logins, colour: 2, isFilled: true, values: rateOf('logins') },
          { label: overview.wechatErrors, colour: 4, values: rateOf('wechat_errors') }
        ]}
      />
      <Chart
        title={overview.underWay}
        times={times}
        show={format.rate}
        lines={[{ label: overview.underWay, colour: 1, isFilled: true, values: of('in_flight') }]}
      />
    </div>
  )
}

const STALE_SAMPLES = 10

/** The newest value of the last seconds: a second without a request has no latency. */
function latest(samples: readonly Sample[], name: 'p50_ms' | 'p99_ms'): number | null {
  return samples.slice(-STALE_SAMPLES).findLast((sample) => sample[name] !== null)?.[name] ?? null
}

function errorShare({ requests: { requests, errors } }: StatusAnswer): number {
  return requests === 0 ? 0 : errors / requests
}

function refusedLogins({ apps }: StatusAnswer): number {
  return sum(
    apps.flatMap(({ logins }) => Object.entries(logins)).map(([result, count]) => (result === 'ok' ? 0 : count))
  )
}

function wechatErrors({ apps }: StatusAnswer): number {
  return sum(apps.flatMap(({ errcodes }) => Object.values(errcodes)))
}

type Counted = 'requests' | 'errors' | 'logins' | 'wechat_errors'

const perSecond = (sample: Sample, name: Counted) => (sample.seconds > 0 ? sample[name] / sample.seconds : 0)

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
