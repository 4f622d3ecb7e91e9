/** Try it: logs in at the sandbox, calls a route and shows the request that the backend
 *  received. */
import { useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { SandboxCall } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { SelectField, TextAreaField, TextField } from '../parts/fields.tsx'
import { Badge, Failure, Note, Panel, type Tone } from '../parts/parts.tsx'
import { METHODS } from './explain.tsx'

const PEOPLE = ['alice', 'bob']

export function TryIt() {
  const { text } = useLocale()
  const { api, status } = useConsole()
  const apps = status?.apps ?? []
  const [form, setForm] = useState({ user: 'alice', app: '', method: 'GET', path: '', body: '' })
  const set = (change: Partial<typeof form>) => setForm((before) => ({ ...before, ...change }))
  const call = useCall<SandboxCall>()
  const path = form.path === '' ? (status?.routes[0]?.path ?? '/') : form.path
  const appid = form.app === '' ? (apps[0]?.appid ?? '') : form.app
  const submit = (event: Event) => {
    event.preventDefault()
    const { user, method, body } = form
    const request = { user, appid, method, path, ...(body === '' ? {} : { body }) }
    call.run(() => api.act<SandboxCall>('POST', 'v1/sandbox/call', request))
  }
  return (
    <div class="stack">
      <form class="panel panel-body stack" onSubmit={submit}>
        <small>{text.try.hint}</small>
        <div class="fields">
          <SelectField label={text.try.person} value={form.user} onValue={(user) => set({ user })} options={PEOPLE} />
          <SelectField
            label={text.try.app}
            value={appid}
            onValue={(app) => set({ app })}
            options={apps.map((app) => ({ value: app.appid, label: app.name ?? app.appid }))}
          />
          <SelectField
            label={text.try.method}
            value={form.method}
            onValue={(method) => set({ method })}
            options={METHODS}
          />
          <TextField label={text.try.path} value={path} onValue={(value) => set({ path: value })} isRequired />
          <button type="submit" class="button primary" aria-disabled={call.isBusy}>
            {text.try.action}
          </button>
        </div>
        {form.method !== 'GET' && (
          <TextAreaField
            label={text.try.body}
            value={form.body}
            onValue={(body) => set({ body })}
            example='{"item":"tea"}'
          />
        )}
      </form>
      <div class="stack" aria-live="polite">
        {call.error !== null && <Failure error={call.error} />}
        {call.answer !== null && <Result call={call.answer} />}
      </div>
    </div>
  )
}

const toneOf = (status: number): Tone => (status < 400 ? 'good' : status < 500 ? 'warn' : 'bad')

function Result({ call: { login, answer, received } }: { call: SandboxCall }) {
  const { text } = useLocale()
  return (
    <div class="two">
      <div class="stack">
        <Panel title={text.try.login} aside={<Badge tone={toneOf(login.status)}>{login.status}</Badge>}>
          <pre class="code">{indented(login.body)}</pre>
        </Panel>
        {answer !== null && (
          <Panel title={text.try.answer} aside={<Badge tone={toneOf(answer.status)}>{answer.status}</Badge>}>
            <pre class="code">{`${linesOf(answer.headers)}\n\n${indented(answer.body)}`}</pre>
            {answer.is_truncated && <small>{text.try.truncated}</small>}
          </Panel>
        )}
      </div>
      <Panel title={text.try.received} aside={received !== null && <Badge tone="accent">{received.upstream}</Badge>}>
        {received === null ? (
          <Note>{text.try.notReceived}</Note>
        ) : (
          <pre class="code">{`${received.method} ${received.path}\n${linesOf(received.headers)}`}</pre>
        )}
      </Panel>
    </div>
  )
}

/** JSON on several lines; another text as it is. */
function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

const linesOf = (headers: readonly (readonly [string, string])[]) =>
  headers.map(([name, value]) => `${name}: ${value}`).join('\n')
