/** The process in short: listeners, store, configuration. */
import { useLocale } from '../i18n/locale.ts'
import type { StatusAnswer } from '../model.ts'
import { Badge, Facts, Panel } from '../parts/parts.tsx'

export function GatewayPanel({ status }: { status: StatusAnswer }) {
  const { text, format } = useLocale()
  const { overview } = text
  const { store, readiness, listeners, started_at, processes, node, revocations, requests } = status
  const isStoreWell = store.is_trusted && store.is_writable
  return (
    <Panel
      title={overview.facts}
      aside={<Badge tone={readiness === 'ok' ? 'good' : 'warn'}>{overview.readiness[readiness]}</Badge>}
    >
      <Facts
        of={[
          [overview.started, format.time(started_at)],
          [overview.process, `${processes.map(({ pid }) => pid).join(', ')} · Node.js ${node}`],
          [
            overview.listeners,
            listeners.map(({ name, host, port, is_tls }) => (
              <div key={name}>
                {overview.listener[name]} <code>{`${is_tls ? 'https' : 'http'}://${host}:${port}`}</code>
              </div>
            ))
          ],
          [
            overview.store,
            <Badge key="store" tone={isStoreWell ? 'good' : 'bad'}>
              {`${store.kind} · ${isStoreWell ? overview.storeStates.ok : overview.storeStates.away}`}
            </Badge>
          ],
          [overview.revocations, format.count(revocations)],
          [
            overview.statuses,
            Object.entries(requests.statuses)
              .map(([name, count]) => `${name} ${format.count(count)}`)
              .join(' · ') || text.common.none
          ]
        ]}
      />
    </Panel>
  )
}
