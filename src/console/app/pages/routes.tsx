/** Routes: the policy in force and the counts of every route, and the decision about a request. */
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { RouteStatus } from '../model.ts'
import { Badge, Chips, type Column, Loading, Panel, Table, type Tone } from '../parts/parts.tsx'
import { Explain } from './explain.tsx'
import { policyOf } from './route-policy.ts'

const TONES = { required: 'accent', optional: 'plain', public: 'plain' } as const satisfies Record<string, Tone>

export function Routes() {
  const { text } = useLocale()
  const { status } = useConsole()
  const columns = useColumns()
  if (status === null) return <Loading />
  return (
    <div class="stack">
      <Panel title={text.pages.routes} isFlush>
        <Table
          label={text.pages.routes}
          columns={columns}
          rows={status.routes}
          keyOf={({ path }, index) => `${index} ${path}`}
          empty={text.routes.empty}
        />
      </Panel>
      <Explain />
    </div>
  )
}

function useColumns(): Column<RouteStatus>[] {
  const { text, format } = useLocale()
  const { routes, common } = text
  return [
    {
      label: routes.path,
      isLong: true,
      cell: ({ path, place }) => (
        <>
          <code>{path}</code>
          {place !== null && <small class="under">{place}</small>}
        </>
      )
    },
    { label: routes.methods, cell: ({ methods }) => (methods === null ? common.all : methods.join(' ')) },
    {
      label: routes.auth,
      isTight: true,
      cell: ({ auth }) => <Badge tone={TONES[auth]}>{routes.auths[auth]}</Badge>
    },
    { label: routes.upstream, cell: ({ upstream }) => upstream },
    { label: routes.apps, cell: ({ apps }) => (apps === null ? common.all : apps.join(' ')) },
    { label: routes.policy, isLong: true, cell: (route) => <Chips of={policyOf(route, text, format)} /> },
    { label: routes.traffic, isNumber: true, cell: ({ counts }) => format.count(counts.requests) },
    { label: routes.errors, isNumber: true, cell: ({ counts }) => format.count(counts.errors) },
    {
      label: routes.latency,
      isPair: true,
      cell: ({ counts }) => `${format.milliseconds(counts.p50_ms)} / ${format.milliseconds(counts.p99_ms)}`
    }
  ]
}
