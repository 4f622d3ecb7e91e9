/** Apps: credentials, access token, limits and the answers of WeChat. */
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { AppStatus } from '../model.ts'
import { Badge, Chips, Facts, Loading, type Tone } from '../parts/parts.tsx'
import { Quotas } from './quotas.tsx'

const TOKEN_TONES = { none: 'plain', held: 'good', refused: 'bad' } as const satisfies Record<string, Tone>
const SECRET_TONES = { pending: 'plain', ok: 'good', refused: 'bad', unknown: 'warn' } as const satisfies Record<
  string,
  Tone
>

export function Apps() {
  const { text } = useLocale()
  const { status } = useConsole()
  if (status === null) return <Loading />
  return (
    <div class="two">
      {status.apps.length === 0 && <p class="empty">{text.apps.empty}</p>}
      {status.apps.map((app) => (
        <AppPanel key={app.appid} app={app} now={Date.parse(status.time)} />
      ))}
    </div>
  )
}

function AppPanel({ app, now }: { app: AppStatus; now: number }) {
  const { text, format } = useLocale()
  const { apps } = text
  const { credentials, access_token: token, wxapi_rate_limit: rate } = app
  const limits = [
    apps.atOnce(format.count(app.wxapi_concurrency)),
    ...(rate === null ? [] : [apps.perWindow(format.count(rate.max), format.duration(rate.window_ms))])
  ]
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{app.name ?? app.appid}</h2>
        <code class="muted">{app.appid}</code>
      </div>
      <div class="panel-body">
        <Facts
          of={[
            [
              apps.token,
              <>
                <Badge tone={TOKEN_TONES[token.state]}>{apps.tokens[token.state]}</Badge>
                {token.fetched_at !== null && token.expires_at !== null && (
                  <small class="under">
                    {apps.tokenTimes(format.relative(token.fetched_at, now), format.relative(token.expires_at, now))}
                  </small>
                )}
              </>
            ],
            [
              apps.secret,
              credentials === null ? (
                <Badge>{apps.notChecked}</Badge>
              ) : (
                <Badge tone={SECRET_TONES[credentials]}>{apps.secrets[credentials]}</Badge>
              )
            ],
            [apps.features, featuresOf(app, apps) ?? text.common.none],
            [apps.limits, limits.join(' · ')],
            [apps.logins, <Counts key="logins" of={app.logins} />],
            [apps.calls, <Counts key="calls" of={app.wxapi_calls} />],
            [apps.errcodes, <Counts key="errcodes" of={app.errcodes} />]
          ]}
        />
      </div>
      <Quotas app={app} now={now} />
    </section>
  )
}

function featuresOf({ has_push, has_prefetch, mchid }: AppStatus, text: ReturnType<typeof useLocale>['text']['apps']) {
  const features = [
    ...(has_push ? [text.push] : []),
    ...(has_prefetch ? [text.prefetch] : []),
    ...(mchid === null ? [] : [text.pay(mchid)])
  ]
  return features.length === 0 ? null : <Chips of={features} />
}

function Counts({ of }: { of: Readonly<Record<string, number>> }) {
  const { text, format } = useLocale()
  const entries = Object.entries(of)
  if (entries.length === 0) return <>{text.common.none}</>
  return <Chips of={entries.map(([name, count]) => `${name} ${format.count(count)}`)} />
}
