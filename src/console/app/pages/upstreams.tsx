/** Upstreams: state, load and latency of every target. */
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { LiveTarget, TargetStatus, UpstreamStatus } from '../model.ts'
import { Badge, type Column, Loading, Meter, Table, type Tone } from '../parts/parts.tsx'

const TONES = {
  ok: 'good',
  unhealthy: 'bad',
  breaker_open: 'bad',
  ejected: 'warn',
  breaker_half_open: 'warn',
  degraded: 'warn',
  away: 'bad'
} as const satisfies Record<string, Tone>

export function Upstreams() {
  const { text } = useLocale()
  const { status, samples } = useConsole()
  const live = samples.at(-1)?.targets ?? []
  if (status === null) return <Loading />
  return (
    <div class="stack">
      {status.upstreams.length === 0 && <p class="empty">{text.upstreams.empty}</p>}
      {status.upstreams.map((upstream) => (
        <UpstreamPanel key={upstream.name} upstream={withLive(upstream, live)} />
      ))}
    </div>
  )
}

/** The load and the state of the latest second. */
function withLive(upstream: UpstreamStatus, live: readonly LiveTarget[]): UpstreamStatus {
  const targets = upstream.targets.map((target) => {
    const now = live.find((one) => one.upstream === upstream.name && one.target === target.target)
    return now === undefined ? target : { ...target, state: now.state, in_flight: now.in_flight, waiting: now.waiting }
  })
  return { ...upstream, targets }
}

function UpstreamPanel({ upstream }: { upstream: UpstreamStatus }) {
  const { text, format } = useLocale()
  const { name, state, balance, retries, retries_refused, refusals, targets } = upstream
  const most = Math.max(1, ...targets.map(({ in_flight }) => in_flight))
  const refused = Object.entries(refusals).filter(([, count]) => count > 0)
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{name}</h2>
        <Badge tone={TONES[state]}>{text.upstreams.states[state]}</Badge>
        <small>{balance ?? text.upstreams.former}</small>
        <small>{text.upstreams.retries(format.count(retries), format.count(retries_refused))}</small>
      </div>
      <Table
        label={name}
        columns={useColumns(most)}
        rows={targets}
        keyOf={({ target }) => target}
        empty={text.upstreams.noTargets}
      />
      {refused.length > 0 && (
        <p class="panel-foot">
          {text.upstreams.refusals}: {refused.map(([reason, count]) => `${reason} ${format.count(count)}`).join(' · ')}
        </p>
      )}
    </section>
  )
}

/** @param most Requests under way at the busiest target. */
function useColumns(most: number): Column<TargetStatus>[] {
  const { text, format } = useLocale()
  const { upstreams } = text
  return [
    { label: upstreams.target, cell: ({ target }) => <code>{target}</code> },
    {
      label: upstreams.state,
      isTight: true,
      cell: ({ state }) => <Badge tone={TONES[state]}>{upstreams.states[state]}</Badge>
    },
    {
      label: upstreams.load,
      cell: ({ in_flight, waiting, target }) => (
        <div class="load">
          <Meter value={in_flight} max={most} label={`${upstreams.load}: ${target}`} />
          <span>
            {format.count(in_flight)}
            {waiting > 0 && <small> · {upstreams.waiting(format.count(waiting))}</small>}
          </span>
        </div>
      )
    },
    {
      label: upstreams.latency,
      isPair: true,
      cell: ({ p50_ms, p99_ms }) => `${format.milliseconds(p50_ms)} / ${format.milliseconds(p99_ms)}`
    },
    { label: upstreams.tries, isNumber: true, cell: ({ tries }) => format.count(sum(Object.values(tries))) },
    { label: upstreams.failed, isNumber: true, cell: ({ tries }) => format.count(failures(tries)) },
    {
      label: upstreams.connections,
      isNumber: true,
      cell: ({ busy_connections, idle_connections }) =>
        `${format.count(busy_connections)} / ${format.count(idle_connections)}`
    },
    { label: upstreams.ejections, isNumber: true, cell: ({ ejections }) => format.count(ejections) },
    {
      label: upstreams.breaker,
      isTight: true,
      cell: ({ breaker }) => (breaker === null ? text.common.none : upstreams.breakers[breaker])
    }
  ]
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

/** Tries without an answer, and answers from status 500. */
const failures = (tries: TargetStatus['tries']) =>
  sum(Object.entries(tries).map(([outcome, count]) => (/^(5xx|failed)$/.test(outcome) ? count : 0)))
