/** The page without a session: a service token is pasted here. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { CallFailed } from '../api.ts'
import { useLocale } from '../i18n/locale.ts'
import { Logo } from '../icons.tsx'
import { useCall } from '../parts/call.ts'
import { LanguageSwitch } from '../parts/language-switch.tsx'
import { Failure, Note } from '../parts/parts.tsx'
import { type Session, signIn } from '../session.ts'

interface SignInProps {
  readonly reason: 'none' | 'ended' | 'link'
  readonly onSession: (session: Session) => void
}

export function SignIn({ reason, onSession }: SignInProps) {
  const { text } = useLocale()
  const [token, setToken] = useState('')
  const field = useRef<HTMLInputElement>(null)
  const call = useCall<void>()
  useEffect(() => {
    document.title = `${text.signIn.title} · wxgate`
    field.current?.focus()
  }, [text])
  const submit = (event: Event) => {
    event.preventDefault()
    call.run(async () => onSession(await signIn({ token: token.trim() })))
  }
  const isRefused = call.error instanceof CallFailed && [401, 403].includes(call.error.status)
  return (
    <main class="entry">
      <div class="entry-panel">
        <div class="row">
          <h1 class="brand grow">
            <Logo />
            wxgate <small class="muted">{text.title}</small>
          </h1>
          <LanguageSwitch />
        </div>
        {reason === 'ended' && <Note tone="warn">{text.signIn.ended}</Note>}
        {reason === 'link' && <Note tone="warn">{text.signIn.linkRefused}</Note>}
        <form class="panel panel-body stack" onSubmit={submit}>
          <div class="field">
            <label for="token">{text.signIn.token}</label>
            <input
              id="token"
              ref={field}
              type="password"
              autocomplete="off"
              required
              spellcheck={false}
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </div>
          <small>{text.signIn.hint}</small>
          <button type="submit" class="button primary" disabled={call.isBusy}>
            {call.isBusy ? text.signIn.busy : text.signIn.action}
          </button>
        </form>
        {isRefused && (
          <div role="alert">
            <Note tone="bad">{text.signIn.refused}</Note>
          </div>
        )}
        {call.error !== null && !isRefused && <Failure error={call.error} />}
      </div>
    </main>
  )
}
