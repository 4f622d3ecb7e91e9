/** The console: the sign-in page without a session, else the page that the address names. */
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import { createApi } from './api.ts'
import { ConsoleContext, useConsoleState } from './console-state.ts'
import type { Language } from './i18n/language.ts'
import { createLocale, LocaleContext, preferredLanguage, rememberLanguage } from './i18n/locale.ts'
import { PAGE_CONTENT } from './pages/pages.ts'
import { SignIn } from './pages/sign-in.tsx'
import { LanguageContext } from './parts/language-switch.tsx'
import { usePlace } from './router.ts'
import { currentCsrf, currentSession, forgetSession, type Session, signIn, signOut, takeLink } from './session.ts'
import { Shell } from './shell.tsx'

/** The session is unknown, absent with the reason, or there. */
type Access =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'absent'; readonly reason: 'none' | 'ended' | 'link' }
  | { readonly kind: 'present'; readonly session: Session }

export function App() {
  const [locale, setLocale] = useState(() => createLocale(preferredLanguage()))
  const [access, setAccess] = useState<Access>({ kind: 'unknown' })
  useEffect(() => {
    document.documentElement.lang = locale.language
  }, [locale])
  useEffect(() => {
    start().then(setAccess)
  }, [])
  const choose = (language: Language) => {
    rememberLanguage(language)
    setLocale(createLocale(language))
  }
  const enter = (session: Session) => setAccess({ kind: 'present', session })
  const end = useCallback((reason: 'none' | 'ended') => {
    forgetSession()
    setAccess({ kind: 'absent', reason })
  }, [])
  return (
    <LanguageContext.Provider value={choose}>
      <LocaleContext.Provider value={locale}>
        {access.kind === 'absent' && <SignIn reason={access.reason} onSession={enter} />}
        {access.kind === 'present' && <Console session={access.session} onEnd={end} />}
      </LocaleContext.Provider>
    </LanguageContext.Provider>
  )
}

async function start(): Promise<Access> {
  const link = takeLink()
  const entered = link === null ? null : await signIn({ link }).catch(() => null)
  const session = entered ?? (await currentSession())
  if (session !== null) return { kind: 'present', session }
  return { kind: 'absent', reason: link === null ? 'none' : 'link' }
}

const MESSAGE_MS = 6000

function Console({ session, onEnd }: { session: Session; onEnd: (reason: 'none' | 'ended') => void }) {
  const { page, query } = usePlace()
  const [message, setMessage] = useState('')
  const api = useMemo(
    () => createApi({ csrf: session.csrf, currentCsrf, onSignedOut: () => onEnd('ended') }),
    [session, onEnd]
  )
  const state = useConsoleState(api, setMessage)
  useEffect(() => {
    if (message === '') return
    const timer = setTimeout(() => setMessage(''), MESSAGE_MS)
    return () => clearTimeout(timer)
  }, [message])
  const leave = () => signOut(api).finally(() => onEnd('none'))
  const Content = PAGE_CONTENT[page]
  return (
    <ConsoleContext.Provider value={state}>
      <Shell page={page} name={session.name} message={message} onSignOut={leave}>
        <Content query={query} />
      </Shell>
    </ConsoleContext.Provider>
  )
}
