/** Checks each app's AppSecret and IP allow list, and this machine's clock, by one call to
 *  WeChat per app. */
import type { AppConfig } from '../../config/config.ts'
import { judgeApp, type ProbeOptions } from '../../platforms/wechat/probe.ts'
import { type Finding, failed, ok } from './finding.ts'

/** Instances refuse tokens dated further ahead. */
const CLOCK_TOLERANCE_MS = 5_000

export interface WeChatCheck extends Omit<ProbeOptions, 'timeoutMs'> {
  readonly timeout: number
  readonly apps: readonly Pick<AppConfig, 'appId' | 'name' | 'secret'>[]
}

export async function checkWeChat({ timeout, apps, ...options }: WeChatCheck): Promise<Finding[]> {
  if (options.apiBase === 'sandbox') {
    return [ok('wechat', 'the sandbox stands in for WeChat: AppSecret, IP allow list and clock are not checked')]
  }
  const verdicts = await Promise.all(
    apps.map(async (app) => ({ app, ...(await judgeApp({ ...options, timeoutMs: timeout }, app)) }))
  )
  const findings = verdicts.map(({ app, ...verdict }) => {
    const subject = `app ${app.name ?? app.appId}`
    if (verdict.state === 'ok') return ok(subject, 'WeChat accepts the AppSecret from this address')
    return failed(subject, verdict.problem, verdict.advice)
  })
  return [...findings, ...judgeClock(verdicts.flatMap(({ clockOffsetMs }) => clockOffsetMs ?? []))]
}

function judgeClock(offsets: readonly number[]): Finding[] {
  if (offsets.length === 0) return []
  const offsetMs = Math.min(...offsets.map(Math.abs))
  if (offsetMs <= CLOCK_TOLERANCE_MS) return [ok('clock', "agrees with WeChat's")]
  const message = `is ${Math.round(offsetMs / 1000)} s away from WeChat's`
  return [failed('clock', message, 'synchronise it (NTP): tokens and signatures hold times')]
}
