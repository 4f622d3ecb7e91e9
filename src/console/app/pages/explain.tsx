/** The decision about a request, by the code that would serve it. */
import { useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import type { Texts } from '../i18n/en.ts'
import { useLocale } from '../i18n/locale.ts'
import type { ExplainedRoute, Explanation } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { SelectField, TextAreaField, TextField } from '../parts/fields.tsx'
import { Badge, Facts, Failure, Panel, type Tone } from '../parts/parts.tsx'

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']

const TONES = { forwarded: 'good', own: 'accent', refused: 'bad' } as const satisfies Record<string, Tone>

export function Explain() {
  const { text } = useLocale()
  const { api, status } = useConsole()
  const [method, setMethod] = useState('GET')
  const [path, setPath] = useState(status?.routes[0]?.path ?? '/')
  const [headers, setHeaders] = useState('')
  const call = useCall<Explanation>()
  const submit = (event: Event) => {
    event.preventDefault()
    const lines = headers.split('\n').filter((line) => line.trim() !== '')
    call.run(() => api.act<Explanation>('POST', 'v1/explain', { method, path, headers: lines }))
  }
  return (
    <Panel title={text.explain.title}>
      <form class="stack" onSubmit={submit}>
        <small>{text.explain.hint}</small>
        <div class="fields">
          <SelectField label={text.explain.method} value={method} onValue={setMethod} options={METHODS} />
          <TextField label={text.explain.path} value={path} onValue={setPath} isRequired />
          <button type="submit" class="button primary" aria-disabled={call.isBusy}>
            {text.explain.action}
          </button>
        </div>
        <TextAreaField label={text.explain.headers} value={headers} onValue={setHeaders} example="X-Canary: 1" />
      </form>
      <div aria-live="polite">
        {call.error !== null && <Failure error={call.error} />}
        {call.answer !== null && <Result explanation={call.answer} />}
      </div>
    </Panel>
  )
}

function Result({ explanation }: { explanation: Explanation }) {
  const { text } = useLocale()
  const { explain } = text
  const { path, route, why, alsoCovering, outcome, answer, upstream, stripped } = explanation
  const facts: (readonly [string, preact.ComponentChildren])[] = [
    [
      explain.outcome,
      <Badge key="outcome" tone={TONES[outcome]}>
        {explain.outcomes[outcome]}
      </Badge>
    ],
    ...(answer === null ? [] : [[explain.answer, `${answer.status} ${answer.code}: ${answer.detail}`] as const]),
    [explain.path, path === null ? explain.pathRefused : <code>{path}</code>],
    [explain.route, route === null ? text.common.none : describeRoute(route)],
    [explain.why, why],
    ...(alsoCovering.length === 0
      ? []
      : [[explain.also, alsoCovering.map((other) => <div key={other.path}>{describeRoute(other)}</div>)] as const]),
    [explain.credential, credentialOf(explanation, text)]
  ]
  return (
    <div class="stack result">
      <Facts of={facts} />
      {upstream !== null && (
        <>
          <h3>{explain.sent(upstream.name)}</h3>
          <pre class="code">
            {[
              `${upstream.method} ${upstream.path}`,
              ...upstream.headers.map(([name, value]) => `${name}: ${value}`)
            ].join('\n')}
          </pre>
        </>
      )}
      {stripped.length > 0 && (
        <>
          <h3>{explain.stripped}</h3>
          <Facts of={stripped.map(({ name, why }) => [name, why])} />
        </>
      )}
    </div>
  )
}

function describeRoute({ path, methods, place, upstream, auth }: ExplainedRoute) {
  return (
    <>
      <code>{path}</code> {methods?.join(' ')} · {auth} → {upstream} <small>{place}</small>
    </>
  )
}

function credentialOf({ auth: { verdict, principal, notes } }: Explanation, text: Texts): string {
  const user = principal === null ? [] : [text.explain.principal(principal.user, principal.app)]
  return [verdict, ...user, ...notes].join(' · ')
}
