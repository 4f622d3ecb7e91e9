/** Checks the keys of each merchant by one signed call of the pay API. */
import { lookup } from 'node:dns'
import type { Clock } from '../../clock.ts'
import type { AppConfig, GatewayConfig } from '../../config/config.ts'
import { judgeMerchant } from '../../platforms/wechat/pay/probe.ts'
import { type Finding, failed, ok } from './finding.ts'

export interface MerchantsCheck {
  readonly wechat: Pick<GatewayConfig['wechat'], 'payBase' | 'payFallbackBase' | 'proxy' | 'timeout'>
  readonly apps: readonly Pick<AppConfig, 'appId' | 'name' | 'pay'>[]
  readonly clock: Pick<Clock, 'now'>
}

export async function checkMerchants({ wechat, apps, clock }: MerchantsCheck): Promise<Finding[]> {
  const { payBase, payFallbackBase, proxy, timeout } = wechat
  const findings = apps.map(async ({ appId, name, pay }): Promise<Finding[]> => {
    if (pay === null) return []
    const subject = `merchant ${pay.mchId} of app ${name ?? appId}`
    if (payBase === 'sandbox') return [ok(subject, 'the sandbox stands in for WeChat Pay: its keys are not checked')]
    const verdict = await judgeMerchant({ payBase, payFallbackBase, proxy, timeout, lookup, clock }, pay)
    return [verdict.state === 'ok' ? ok(subject, verdict.message) : failed(subject, verdict.problem, verdict.advice)]
  })
  return (await Promise.all(findings)).flat()
}
