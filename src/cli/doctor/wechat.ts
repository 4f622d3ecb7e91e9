/** Checks each app's AppSecret and IP allow list, and this machine's clock, by one call to
 *  WeChat per app. */
import type { AppConfig } from '../../config/config.ts'
import { type AppProbe, probeApp } from '../../platforms/wechat/probe.ts'
import { type Finding, failed, ok, reasonOf } from './finding.ts'

/** Instances refuse tokens dated further ahead. */
const CLOCK_TOLERANCE_MS = 5_000

export interface WeChatCheck {
  readonly apiBase: string
  readonly timeout: number
  readonly apps: readonly AppConfig[]
  readonly now: () => number
}

export async function checkWeChat({ apiBase, timeout, apps, now }: WeChatCheck): Promise<Finding[]> {
  if (apiBase === 'sandbox') {
    return [ok('wechat', 'the sandbox stands in for WeChat: AppSecret, IP allow list and clock are not checked')]
  }
  const results = await Promise.all(
    apps.map(async (app): Promise<{ finding: Finding; offsetMs: number | null }> => {
      const subject = `app ${app.name ?? app.appId}`
      try {
        const probe = await probeApp({ apiBase, timeoutMs: timeout, now }, app)
        return { finding: judge(subject, probe), offsetMs: probe.clockOffsetMs }
      } catch (error) {
        const message = `${new URL(apiBase).origin} gives no valid answer (${reasonOf(error)})`
        const advice = 'let this machine connect to it: DNS, firewall, outbound proxy'
        return { finding: failed(subject, message, advice), offsetMs: null }
      }
    })
  )
  const offsets = results.flatMap(({ offsetMs }) => offsetMs ?? [])
  return [...results.map(({ finding }) => finding), ...judgeClock(offsets)]
}

function judge(subject: string, { errcode, hint, refusedAddress }: AppProbe): Finding {
  if (errcode === 0) return ok(subject, 'WeChat accepts the AppSecret from this address')
  const message = `WeChat refuses it with ${errcode}${hint === null ? '' : `: ${hint}`}`
  if (errcode === 40164) {
    const address = refusedAddress ?? 'the address of this machine'
    return failed(subject, message, `add ${address} to the IP allow list (IP白名单) of the mini-program`)
  }
  if (errcode === -1 || Number.isNaN(errcode)) return failed(subject, message, 'try again later')
  return failed(subject, message, 'compare appid and AppSecret with the console of the mini-program (开发设置)')
}

function judgeClock(offsets: readonly number[]): Finding[] {
  if (offsets.length === 0) return []
  const offsetMs = Math.min(...offsets.map(Math.abs))
  if (offsetMs <= CLOCK_TOLERANCE_MS) return [ok('clock', "agrees with WeChat's")]
  const message = `is ${Math.round(offsetMs / 1000)} s away from WeChat's`
  return [failed('clock', message, 'synchronise it (NTP): tokens and signatures hold times')]
}
