/** Checks that WeChat accepts the credentials of each app: at the start, for apps that a reload
 *  adds or changes, and again while it does not. */
import type { Clock, Timer } from '../clock.ts'
import type { ProbeVerdict } from '../platforms/wechat/probe.ts'
import type { Log } from '../telemetry/log.ts'

/** Between two checks of an app that WeChat does not accept (milliseconds). */
const RECHECK_MS = 60_000

export interface CheckedApp {
  readonly appId: string
  readonly secret: string
}

/** `unknown`: WeChat gave no answer that tells. */
export type AppState = 'pending' | ProbeVerdict['state']

export interface AppChecksOptions {
  /** Null: no app is checked. */
  readonly probe: ((app: CheckedApp) => Promise<ProbeVerdict>) | null
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
}

export interface AppChecks {
  /** Checks those that are new or have another secret, in the background. */
  use(apps: readonly CheckedApp[]): void
  /** By appid; empty when no app is checked. */
  states(): Readonly<Record<string, AppState>>
  stop(): void
}

interface Check extends CheckedApp {
  state: AppState
  timer: Timer | undefined
}

export function createAppChecks({ probe, clock, log }: AppChecksOptions): AppChecks {
  let checks: ReadonlyMap<string, Check> = new Map()

  async function run(check: Check, ask: NonNullable<typeof probe>): Promise<void> {
    const { appId, secret } = check
    const verdict = await ask({ appId, secret })
    if (checks.get(appId) !== check) return
    if (verdict.state !== check.state) report(check, verdict)
    check.state = verdict.state
    if (verdict.state === 'ok') return
    check.timer = clock.setTimeout(() => void run(check, ask), RECHECK_MS)
    check.timer.unref()
  }

  function report({ appId, state }: Check, verdict: ProbeVerdict): void {
    if (verdict.state === 'ok') {
      if (state !== 'pending') log.info({ appid: appId }, 'WeChat accepts the credentials of this app again')
      return
    }
    const { problem, advice, errcode } = verdict
    const fields = { event: 'app_check', appid: appId, errcode, problem, advice }
    if (verdict.state === 'refused') log.error(fields, 'WeChat refuses the credentials of this app')
    else log.warn(fields, 'WeChat could not be asked about the credentials of this app')
  }

  return {
    use(apps) {
      if (probe === null) return
      const before = checks
      const next = apps.map(({ appId, secret }): Check => {
        const known = before.get(appId)
        return known?.secret === secret ? known : { appId, secret, state: 'pending', timer: undefined }
      })
      checks = new Map(next.map((check) => [check.appId, check]))
      for (const [appId, check] of before) if (checks.get(appId) !== check) clock.clearTimeout(check.timer)
      for (const check of next) if (before.get(check.appId) !== check) void run(check, probe)
    },
    states: () => Object.fromEntries([...checks.values()].map(({ appId, state }) => [appId, state])),
    stop() {
      for (const { timer } of checks.values()) clock.clearTimeout(timer)
      checks = new Map()
    }
  }
}
