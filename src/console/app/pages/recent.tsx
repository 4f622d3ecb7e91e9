/** Recent refusals and failures. The newest first; an identity is shown after an audited click. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { NONE } from '../format.ts'
import { useLocale } from '../i18n/locale.ts'
import type { FailureStatus, Identity } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Badge, type Column, Failure, Loading, Panel, Table } from '../parts/parts.tsx'
import { hrefOf } from '../router.ts'

const KINDS = ['all', 'refused', 'failed'] as const

export function Recent() {
  const { text } = useLocale()
  const { api, samples } = useConsole()
  // The list is read again when the stream tells of a new entry.
  const newest = samples.at(-1)?.newest_failure
  const [kind, setKind] = useState<string>('all')
  const [filter, setFilter] = useState('')
  const [identities, setIdentities] = useState<Readonly<Record<string, Identity>>>({})
  const list = useCall<readonly FailureStatus[]>()
  const reveal = useCall<void>()
  useEffect(() => {
    const query = kind === 'all' ? '' : `?kind=${kind}`
    list.run(async () => (await api.get<{ failures: FailureStatus[] }>(`v1/failures${query}`)).failures)
  }, [api, kind, newest])
  const onReveal = (id: string) =>
    reveal.run(async () => {
      const identity = await api.act<Identity>('POST', `v1/failures/${id}/identity`)
      setIdentities((before) => ({ ...before, [id]: identity }))
    })
  const columns = useColumns(identities, onReveal)
  const rows = list.answer?.filter((failure) => isMatch(failure, filter)) ?? null
  return (
    <div class="stack">
      <small>{text.recent.hint}</small>
      <div class="fields">
        <SelectField
          label={text.recent.kind}
          value={kind}
          onValue={setKind}
          options={KINDS.map((value) => ({ value, label: text.recent.kinds[value] }))}
        />
        <TextField label={text.recent.filter} value={filter} onValue={setFilter} />
      </div>
      {list.error !== null && <Failure error={list.error} />}
      {reveal.error !== null && <Failure error={reveal.error} />}
      {rows === null && list.error === null && <Loading />}
      {rows !== null && (
        <Panel title={text.recent.title} isFlush>
          <Table
            label={text.recent.title}
            columns={columns}
            rows={rows}
            keyOf={({ id }) => id}
            empty={list.answer?.length === 0 ? text.recent.empty : text.recent.noMatch}
          />
        </Panel>
      )}
    </div>
  )
}

function isMatch(failure: FailureStatus, filter: string): boolean {
  const wanted = filter.trim().toLowerCase()
  return (
    wanted === '' ||
    Object.values(failure).some((value) =>
      String(value ?? '')
        .toLowerCase()
        .includes(wanted)
    )
  )
}

function useColumns(
  identities: Readonly<Record<string, Identity>>,
  onReveal: (id: string) => void
): Column<FailureStatus>[] {
  const { text, format } = useLocale()
  const { recent } = text
  return [
    { label: recent.time, isTight: true, cell: ({ time }) => format.clock(time) },
    {
      label: recent.status,
      isTight: true,
      cell: ({ status, kind }) => <Badge tone={kind === 'failed' ? 'bad' : 'warn'}>{status}</Badge>
    },
    {
      label: recent.request,
      isLong: true,
      cell: ({ method, path, route }) => (
        <>
          <code>
            {method} {path}
          </code>
          <small class="under">{route === null ? recent.noRoute : `${recent.route} ${route}`}</small>
        </>
      )
    },
    {
      label: recent.reason,
      cell: ({ reason, cause, target, tries }) => (
        <>
          {reason}
          <small class="under">
            {[cause, target, tries > 1 ? recent.tries(format.count(tries)) : null].filter(Boolean).join(' · ')}
          </small>
        </>
      )
    },
    { label: recent.duration, isNumber: true, cell: ({ duration_ms }) => format.milliseconds(duration_ms) },
    {
      label: recent.identity,
      cell: (failure) => <IdentityCell failure={failure} identity={identities[failure.id]} onReveal={onReveal} />
    },
    { label: recent.id, cell: ({ request_id }) => <code class="muted">{request_id}</code> }
  ]
}

interface IdentityCellProps {
  readonly failure: FailureStatus
  readonly identity: Identity | undefined
  readonly onReveal: (id: string) => void
}

function IdentityCell({ failure, identity, onReveal }: IdentityCellProps) {
  const { text } = useLocale()
  const { client, user, app } = identity ?? failure
  const row = useRef<HTMLDivElement>(null)
  useEffect(() => {
    // The button that had the focus is gone.
    if (identity !== undefined && document.activeElement === document.body) row.current?.focus()
  }, [identity])
  return (
    <>
      <div class="row" ref={row} tabIndex={-1}>
        {identity?.user ? <a href={hrefOf('users', { id: identity.user })}>{identity.user}</a> : (user ?? NONE)}
        {identity === undefined && (
          <button
            type="button"
            class="button small plain"
            title={text.recent.revealDetail}
            onClick={() => onReveal(failure.id)}
          >
            {text.recent.reveal}
          </button>
        )}
      </div>
      <small class="under">{[client, app].filter(Boolean).join(' · ')}</small>
    </>
  )
}
