/** The frame around every page: navigation, head, messages. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useConsole } from './console-state.ts'
import { useLocale } from './i18n/locale.ts'
import { Icon, Logo } from './icons.tsx'
import { LanguageSwitch } from './parts/language-switch.tsx'
import { Badge, type Tone } from './parts/parts.tsx'
import { hrefOf, PAGES, type Page } from './router.ts'

interface ShellProps {
  readonly page: Page
  /** Name of the service token. */
  readonly name: string
  readonly message: string
  readonly onSignOut: () => void
  readonly children: ComponentChildren
}

export function Shell({ page, name, message, onSignOut, children }: ShellProps) {
  const { text } = useLocale()
  const heading = useRef<HTMLHeadingElement>(null)
  const isFirst = useRef(true)
  useEffect(() => {
    document.title = `${text.pages[page]} · wxgate`
    // A keyboard or a screen reader goes on at the new page. The first page keeps the focus of the
    // browser.
    if (!isFirst.current) heading.current?.focus()
    isFirst.current = false
  }, [page, text])

  return (
    <div class="shell">
      <a class="skip" href="#content">
        {text.skip}
      </a>
      <Side page={page} name={name} onSignOut={onSignOut} />
      <main class="main" id="content" tabIndex={-1}>
        <header class="head">
          <h1 ref={heading} tabIndex={-1}>
            {text.pages[page]}
          </h1>
          <HeadFacts />
        </header>
        <p class="message" role="status">
          {message === '' ? null : <span class="note good">{message}</span>}
        </p>
        {children}
      </main>
    </div>
  )
}

function Side({ page, name: signedInAs, onSignOut }: Pick<ShellProps, 'page' | 'name' | 'onSignOut'>) {
  const { text } = useLocale()
  const { status } = useConsole()
  const [isOpen, setOpen] = useState(false)
  const menu = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!isOpen) return
    const closeByKey = ({ key }: KeyboardEvent) => {
      if (key !== 'Escape') return
      setOpen(false)
      menu.current?.focus()
    }
    addEventListener('keydown', closeByKey)
    return () => removeEventListener('keydown', closeByKey)
  }, [isOpen])
  const pages = PAGES.filter((name) => name !== 'try' || status?.has_sandbox)
  return (
    <div class={isOpen ? 'side open' : 'side'}>
      <div class="brand">
        <Logo />
        <span>wxgate</span>
        <button
          ref={menu}
          type="button"
          class="button plain menu-button"
          aria-expanded={isOpen}
          aria-controls="pages"
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="menu" />
          {text.menu}
        </button>
      </div>
      <nav class="nav" id="pages" aria-label={text.navigation}>
        {pages.map((name) => (
          <a
            key={name}
            href={hrefOf(name)}
            aria-current={name === page ? 'page' : undefined}
            onClick={() => setOpen(false)}
          >
            <Icon name={name} />
            {text.pages[name]}
          </a>
        ))}
      </nav>
      <div class="side-foot">
        <LanguageSwitch />
        <button type="button" class="button plain" onClick={onSignOut} title={signedInAs}>
          <Icon name="out" />
          {text.signIn.signOut}
        </button>
      </div>
    </div>
  )
}

const TONES = { connecting: 'plain', live: 'good', paused: 'plain', lost: 'bad' } as const satisfies Record<
  string,
  Tone
>

function HeadFacts() {
  const { text, format } = useLocale()
  const { status, connection } = useConsole()
  return (
    <div class="head-facts">
      {status !== null && (
        <>
          <span class="uptime">
            {text.head.uptime} {format.duration(status.uptime_seconds * 1000)}
          </span>
          <span>
            {text.head.version} {status.version}
          </span>
        </>
      )}
      <span class="connection" role="status">
        <Badge tone={TONES[connection]}>{text.live[connection]}</Badge>
      </span>
    </div>
  )
}
