/** The quotas of an app for WeChat's API, read from WeChat at a click. */
import { useConsole } from '../console-state.ts'
import { NONE } from '../format.ts'
import { useLocale } from '../i18n/locale.ts'
import type { AppStatus, PathStatus } from '../model.ts'
import { useCall } from '../parts/call.ts'
import { Badge, type Column, Failure, Meter, Table } from '../parts/parts.tsx'

export function Quotas({ app, now }: { app: AppStatus; now: number }) {
  const { text } = useLocale()
  const { api, refresh, announce } = useConsole()
  const { quotas } = text
  const call = useCall<void>()
  const columns = useColumns(now)
  const ask = () =>
    call.run(async () => {
      const paths = app.paths.map(({ path }) => path)
      await api.act('POST', `v1/apps/${encodeURIComponent(app.appid)}/quotas`, { paths })
      refresh()
      announce(quotas.read)
    })
  return (
    <>
      <div class="panel-head">
        <h3>{quotas.title}</h3>
        {app.paths.length > 0 && (
          <button type="button" class="button small" title={quotas.hint} aria-disabled={call.isBusy} onClick={ask}>
            {quotas.action}
          </button>
        )}
      </div>
      {call.error !== null && (
        <div class="panel-body">
          <Failure error={call.error} />
        </div>
      )}
      <Table label={quotas.title} columns={columns} rows={app.paths} keyOf={({ path }) => path} empty={quotas.empty} />
    </>
  )
}

function useColumns(now: number): Column<PathStatus>[] {
  const { text, format } = useLocale()
  const { quotas } = text
  return [
    { label: quotas.path, isLong: true, cell: ({ path }) => <code>{path}</code> },
    { label: quotas.calls, isNumber: true, cell: ({ calls }) => format.count(calls) },
    { label: quotas.today, cell: ({ path, quota }) => <Today path={path} quota={quota} now={now} /> }
  ]
}

function Today({ path, quota, now }: { path: string; quota: PathStatus['quota']; now: number }) {
  const { text, format } = useLocale()
  const { quotas } = text
  if (quota === null) return <>{NONE}</>
  const { daily, rate_limit: rate, errcode, failure, read_at } = quota
  return (
    <>
      {daily !== null && (
        <>
          {quotas.usedOf(format.count(daily.used), format.count(daily.limit))}
          <Meter value={daily.used} max={Math.max(1, daily.limit)} label={`${path}: ${quotas.today}`} />
        </>
      )}
      {errcode !== null && <Badge tone="warn">{quotas.refused(String(errcode))}</Badge>}
      {failure !== null && <Badge tone="bad">{failure.code}</Badge>}
      <small class="under">
        {[
          failure?.detail,
          rate && text.apps.perWindow(format.count(rate.max), format.duration(rate.window_ms)),
          format.relative(read_at, now)
        ]
          .filter(Boolean)
          .join(' · ')}
      </small>
    </>
  )
}
