/** Users: look up one, see the record and the session, end sessions. */
import { useEffect, useState } from 'preact/hooks'
import { CallFailed } from '../api.ts'
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import { useCall } from '../parts/call.ts'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Failure, Note, Panel } from '../parts/parts.tsx'
import type { PageProps } from '../router.ts'
import { type FoundUser, findUser } from '../user-search.ts'
import { UserPanels } from './user-panels.tsx'

export function Users({ query }: PageProps) {
  const { text } = useLocale()
  const { api, status } = useConsole()
  const [id, setId] = useState(query.get('id') ?? '')
  const [app, setApp] = useState(query.get('app') ?? '')
  const call = useCall<FoundUser>()
  const apps = status?.apps ?? []
  const appId = app === '' ? (apps[0]?.appid ?? '') : app
  const search = (wanted: string) => call.run(() => findUser(api, wanted, appId))
  useEffect(() => {
    if (id !== '') search(id)
  }, [])
  const submit = (event: Event) => {
    event.preventDefault()
    search(id.trim())
  }
  const isUnknown = call.error instanceof CallFailed && call.error.status === 404
  return (
    <div class="stack">
      <Panel title={text.users.title}>
        <form class="stack" onSubmit={submit}>
          <small>{text.users.hint}</small>
          <div class="fields">
            <TextField label={text.users.query} value={id} onValue={setId} isRequired />
            <SelectField
              label={text.users.app}
              value={appId}
              onValue={setApp}
              options={apps.map(({ appid, name }) => ({ value: appid, label: name ?? appid }))}
            />
            <button type="submit" class="button primary" aria-disabled={call.isBusy}>
              {text.users.action}
            </button>
          </div>
        </form>
      </Panel>
      <div class="stack" aria-live="polite">
        {isUnknown && <Note tone="warn">{text.users.unknown}</Note>}
        {call.error !== null && !isUnknown && <Failure error={call.error} />}
        {call.answer !== null && <UserPanels found={call.answer} onChange={() => search(call.answer?.user.id ?? id)} />}
      </div>
    </div>
  )
}
