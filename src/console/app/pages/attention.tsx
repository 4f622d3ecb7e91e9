/** The states that an operator has to do something about. */
import type { Format } from '../format.ts'
import type { Texts } from '../i18n/en.ts'
import { useLocale } from '../i18n/locale.ts'
import type { StatusAnswer } from '../model.ts'
import { Badge, Panel, type Tone } from '../parts/parts.tsx'
import { hrefOf, type Page } from '../router.ts'

interface Item {
  readonly page: Page
  readonly tone: Tone
  readonly text: string
}

export function AttentionPanel({ status }: { status: StatusAnswer }) {
  const { text, format } = useLocale()
  const items = itemsOf(status, text, format)
  return (
    <Panel title={text.overview.attention} isFlush>
      {items.length === 0 && <p class="empty">{text.overview.allWell}</p>}
      {items.length > 0 && (
        <ul class="lines">
          {items.map((item) => (
            <li key={item.text}>
              <a href={hrefOf(item.page)}>
                <Badge tone={item.tone}>{text.pages[item.page]}</Badge>
                <span class="grow">{item.text}</span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

export function itemsOf(status: StatusAnswer, text: Texts, format: Format): Item[] {
  const { items } = text.overview
  const found: Item[] = []
  const add = (page: Page, tone: Tone, message: string) => found.push({ page, tone, text: message })
  if (!status.store.is_trusted || !status.store.is_writable) add('overview', 'bad', items.store)
  const { last_reload, warnings } = status.configuration
  if (last_reload !== null && !last_reload.is_successful) add('configuration', 'bad', items.reload)
  for (const { name, state } of status.upstreams) {
    if (state !== 'ok')
      add('upstreams', state === 'away' ? 'bad' : 'warn', items.upstream(name, text.upstreams.states[state]))
  }
  for (const { appid, name, credentials, access_token } of status.apps) {
    const label = name ?? appid
    if (credentials === 'refused') add('apps', 'bad', items.credentials(label))
    if (access_token.state === 'refused') add('apps', 'bad', items.token(label))
  }
  for (const { appid, dead } of status.queues) {
    if (dead > 0) add('queues', 'warn', items.dead(format.count(dead), appid))
  }
  for (const { use, state } of status.certificates) {
    const tone = state === 'expiring' ? 'warn' : 'bad'
    if (state !== 'ok') add('certificates', tone, items.certificate(use, text.certificates.states[state]))
  }
  if (warnings.length > 0) add('configuration', 'warn', items.warnings(format.count(warnings.length)))
  return found
}
