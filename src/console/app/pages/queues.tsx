/** Queues: the backlog of message push and of pay notices, and the events that were given up. */
import { useEffect, useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { NONE } from '../format.ts'
import { useLocale } from '../i18n/locale.ts'
import type { DeadEvent, QueueStatus } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { Badge, Chips, type Column, Failure, Loading, Panel, Table } from '../parts/parts.tsx'

export function Queues() {
  const { text, format } = useLocale()
  const { status } = useConsole()
  if (status === null) return <Loading />
  const { queues } = text
  const columns: Column<QueueStatus>[] = [
    { label: queues.kind, cell: ({ kind }) => queues.kinds[kind] },
    { label: queues.app, cell: ({ appid }) => <code>{appid}</code> },
    { label: queues.upstream, cell: ({ upstream }) => upstream },
    { label: queues.waiting, isNumber: true, cell: ({ waiting }) => format.count(waiting) },
    { label: queues.size, isNumber: true, cell: ({ waiting_bytes }) => format.bytes(waiting_bytes) },
    {
      label: queues.dead,
      isNumber: true,
      cell: ({ dead }) => (dead === 0 ? '0' : <Badge tone="bad">{format.count(dead)}</Badge>)
    },
    {
      label: queues.results,
      cell: ({ results }) => (
        <Chips of={Object.entries(results).map(([name, count]) => `${name} ${format.count(count)}`)} />
      )
    }
  ]
  return (
    <div class="stack">
      <Panel title={queues.backlog} isFlush>
        <Table
          label={queues.backlog}
          columns={columns}
          rows={status.queues}
          keyOf={({ kind, appid }) => `${kind} ${appid}`}
          empty={queues.empty}
        />
      </Panel>
      {status.queues.length > 0 && <DeadEvents />}
    </div>
  )
}

interface DeadPage {
  readonly events: readonly DeadEvent[]
  readonly next: string | null
}

function DeadEvents() {
  const { text } = useLocale()
  const { api, announce, refresh } = useConsole()
  const list = useCall<DeadPage>()
  const retry = useCall<void>()
  const [retried, setRetried] = useState<ReadonlySet<string>>(new Set())
  const read = (before: DeadPage | null) =>
    list.run(async () => {
      const after = before?.next ? `?after=${encodeURIComponent(before.next)}` : ''
      const page = await api.get<DeadPage>(`v1/push/dead${after}`)
      return { ...page, events: [...(before?.events ?? []), ...page.events] }
    })
  useEffect(() => read(null), [api])
  const onRetry = (id: string) =>
    retry.run(async () => {
      await api.act('POST', `v1/push/dead/${encodeURIComponent(id)}/retry`)
      setRetried((before) => new Set([...before, id]))
      announce(text.queues.retried)
      refresh()
    })
  const columns = useDeadColumns(onRetry)
  const rows = list.answer?.events.filter(({ id }) => !retried.has(id)) ?? null
  return (
    <>
      {list.error !== null && <Failure error={list.error} />}
      {retry.error !== null && <Failure error={retry.error} />}
      {rows !== null && (
        <Panel title={text.queues.deadTitle} isFlush>
          <Table
            label={text.queues.deadTitle}
            columns={columns}
            rows={rows}
            keyOf={({ id }) => id}
            empty={text.queues.noDead}
          />
        </Panel>
      )}
      {list.answer?.next && (
        <div>
          <button type="button" class="button" aria-disabled={list.isBusy} onClick={() => read(list.answer)}>
            {text.queues.more}
          </button>
        </div>
      )}
    </>
  )
}

function useDeadColumns(onRetry: (id: string) => void): Column<DeadEvent>[] {
  const { text, format } = useLocale()
  const { queues } = text
  return [
    {
      label: queues.event,
      cell: ({ id, event_id, body }) => (
        <details>
          <summary>
            <code>{event_id ?? id}</code>
          </summary>
          <pre class="code">{body}</pre>
        </details>
      )
    },
    { label: queues.app, cell: ({ appid }) => <code>{appid}</code> },
    { label: queues.user, cell: ({ openid }) => openid ?? NONE },
    { label: queues.reason, cell: ({ reason }) => reason },
    { label: queues.received, isTight: true, cell: ({ received }) => format.time(received) },
    { label: queues.died, isTight: true, cell: ({ died }) => format.time(died) },
    {
      label: text.common.action,
      isTight: true,
      cell: ({ id }) => (
        <button type="button" class="button small" onClick={() => onRetry(id)}>
          {queues.retry}
        </button>
      )
    }
  ]
}
