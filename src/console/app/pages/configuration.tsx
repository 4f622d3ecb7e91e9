/** Configuration: what is in force with masked secrets, its warnings and the last reload. */
import { useState } from 'preact/hooks'
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { StatusAnswer } from '../model.ts'
import { Badge, Facts, Loading, Panel } from '../parts/parts.tsx'
import { toYaml } from '../yaml.ts'

export function Configuration() {
  const { text, format } = useLocale()
  const { status } = useConsole()
  if (status === null) return <Loading />
  const { configuration } = text
  const { file, read_at, warnings, last_reload } = status.configuration
  const now = Date.parse(status.time)
  return (
    <div class="stack">
      <div class="two">
        <Panel title={configuration.reload} aside={<ReloadState reload={last_reload} />}>
          <Facts
            of={[
              [configuration.file, file === null ? configuration.noFile : <code>{file}</code>],
              [configuration.read, `${format.time(read_at)} (${format.relative(read_at, now)})`],
              [configuration.reload, last_reload === null ? configuration.noReload : format.time(last_reload.at)]
            ]}
          />
          {last_reload !== null && <Lines of={last_reload.problems} />}
        </Panel>
        <Panel title={configuration.warnings}>
          {warnings.length === 0 ? <p class="muted">{configuration.noWarnings}</p> : <Lines of={warnings} />}
        </Panel>
      </div>
      <InForce content={status.configuration.content} />
    </div>
  )
}

function ReloadState({ reload }: { reload: StatusAnswer['configuration']['last_reload'] }) {
  const { text } = useLocale()
  if (reload === null) return null
  return (
    <Badge tone={reload.is_successful ? 'good' : 'bad'}>
      {reload.is_successful ? text.configuration.reloaded : text.configuration.failed}
    </Badge>
  )
}

function Lines({ of }: { of: readonly string[] }) {
  return (
    <ul class="stack">
      {of.map((line) => (
        <li key={line} class="note warn">
          {line}
        </li>
      ))}
    </ul>
  )
}

function InForce({ content }: { content: unknown }) {
  const { text } = useLocale()
  const [isCopied, setCopied] = useState(false)
  const shown = toYaml(content)
  const copy = () => {
    navigator.clipboard.writeText(shown).then(
      () => setCopied(true),
      () => setCopied(false)
    )
  }
  return (
    <Panel
      title={text.configuration.inForce}
      aside={
        <button type="button" class="button small" onClick={copy}>
          {isCopied ? text.configuration.copied : text.configuration.copy}
        </button>
      }
    >
      <div class="stack">
        <small>{text.configuration.masked}</small>
        <pre class="code">{shown}</pre>
      </div>
    </Panel>
  )
}
