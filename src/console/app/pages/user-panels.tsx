/** The record of a user, the accounts and the live sessions. */
import { useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { Account, LiveSession } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { Confirm } from '../parts/confirm.tsx'
import { Badge, Chips, type Column, Facts, Failure, Panel, Table } from '../parts/parts.tsx'
import { endAllSessions, endSession, type FoundUser } from '../user-search.ts'

interface UserPanelsProps {
  readonly found: FoundUser
  /** Called after an action. */
  readonly onChange: () => void
}

export function UserPanels({ found, onChange }: UserPanelsProps) {
  const { text } = useLocale()
  const { api, announce } = useConsole()
  const [isAsking, setAsking] = useState<LiveSession | 'all' | null>(null)
  const call = useCall<void>()
  const end = (work: () => Promise<void>, message: string) =>
    call.run(async () => {
      await work()
      announce(message)
      onChange()
    })
  return (
    <>
      {call.error !== null && <Failure error={call.error} />}
      <div class="two">
        <RecordPanel found={found} onEndAll={() => setAsking('all')} />
        <AccountsPanel accounts={found.accounts} />
      </div>
      <SessionsPanel sessions={found.sessions} onEnd={setAsking} />
      {isAsking !== null && (
        <Confirm
          title={isAsking === 'all' ? text.users.kickAllTitle : text.users.kickTitle}
          detail={text.users.kickDetail}
          action={isAsking === 'all' ? text.users.kickAll : text.users.kick}
          onClose={() => setAsking(null)}
          onConfirm={() => {
            if (isAsking === 'all') end(() => endAllSessions(api, found), text.users.kickedAll)
            else end(() => endSession(api, isAsking), text.users.kicked)
          }}
        />
      )}
    </>
  )
}

function RecordPanel({ found: { user }, onEndAll }: { found: FoundUser; onEndAll: () => void }) {
  const { text, format } = useLocale()
  const { users, common } = text
  const { status, phone, unionid, linked_ids, authorization_revoked_at: revokedAt } = user
  return (
    <Panel
      title={<code>{user.id}</code>}
      aside={
        <button type="button" class="button small danger" onClick={onEndAll}>
          {users.kickAll}
        </button>
      }
    >
      <Facts
        of={[
          [
            users.status,
            <Badge key="status" tone={status === 'bound' ? 'good' : 'plain'}>
              {users.statuses[status]}
            </Badge>
          ],
          [users.phone, phone === null ? common.none : `+${phone.country_code} ${phone.number}`],
          [users.unionid, unionid === null ? common.none : <code>{unionid}</code>],
          [users.linked, linked_ids.length === 0 ? common.none : <Chips of={linked_ids} />],
          [users.first, format.time(user.first_login)],
          [users.last, format.time(user.last_login)],
          [users.revoked, revokedAt === null ? common.never : format.time(revokedAt)]
        ]}
      />
    </Panel>
  )
}

function AccountsPanel({ accounts }: { accounts: readonly Account[] }) {
  const { text } = useLocale()
  const { status } = useConsole()
  const columns: Column<Account>[] = [
    { label: text.users.app, cell: ({ appid }) => status?.apps.find((app) => app.appid === appid)?.name ?? appid },
    { label: 'openid', isLong: true, cell: ({ openid }) => <code>{openid}</code> }
  ]
  return (
    <Panel title={text.users.accounts} isFlush>
      <Table
        label={text.users.accounts}
        columns={columns}
        rows={accounts}
        keyOf={({ appid, openid }) => `${appid} ${openid}`}
        empty={text.common.none}
      />
    </Panel>
  )
}

interface SessionsPanelProps {
  readonly sessions: readonly LiveSession[]
  readonly onEnd: (session: LiveSession) => void
}

function SessionsPanel({ sessions, onEnd }: SessionsPanelProps) {
  const { text, format } = useLocale()
  const { status } = useConsole()
  const { users } = text
  const now = status === null ? Date.now() : Date.parse(status.time)
  const columns: Column<LiveSession>[] = [
    { label: users.session, isLong: true, cell: ({ id }) => <code>{id}</code> },
    { label: users.app, cell: ({ appid }) => status?.apps.find((app) => app.appid === appid)?.name ?? appid },
    { label: users.used, isTight: true, cell: ({ refreshed_at }) => format.relative(refreshed_at, now) },
    { label: users.refreshes, isNumber: true, cell: ({ refreshes }) => format.count(refreshes) },
    { label: users.expires, isTight: true, cell: ({ ends_at }) => format.time(ends_at) },
    {
      label: text.common.action,
      isTight: true,
      cell: (session) => (
        <button type="button" class="button small danger" onClick={() => onEnd(session)}>
          {users.kick}
        </button>
      )
    }
  ]
  return (
    <Panel title={users.sessions} isFlush>
      <Table label={users.sessions} columns={columns} rows={sessions} keyOf={({ id }) => id} empty={users.noSessions} />
    </Panel>
  )
}
