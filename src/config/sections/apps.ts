/** `apps`: the mini-programs and their credentials. */
import { type Static, Type } from '../../schema.ts'
import { didYouMean, type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext, reportRepeats } from '../section.ts'
import { mapping, matching, secret, text, wxapiLimit } from '../terms.ts'
import { milliseconds } from '../units.ts'
import { apiSignature, checkApiSignature } from './api-signature.ts'
import { eventDelivery, resolveEventDelivery } from './event-delivery.ts'
import { checkPay, pay, resolvePay } from './pay.ts'
import { prefetch, resolvePrefetch } from './prefetch.ts'
import { checkDestination, type UpstreamsDraft } from './upstreams.ts'

/** As `apps[].secret`: an app of the sandbox only. As `wechat.apiBase`: the built-in sandbox. */
export const SANDBOX = 'sandbox'

export function appId(description: string) {
  return matching(description, '^wx[0-9a-zA-Z]{4,32}$', 'an appid: wx and 4 to 32 letters or digits')
}

const virtualPay = mapping('Keys of virtual payment, for `pay_sig`.', {
  appKey: Type.Optional(secret('App key of the live environment (env 0).')),
  sandboxAppKey: Type.Optional(secret('App key of the sandbox environment (env 1).'))
})

const push = mapping('Message push (消息推送): events go to an upstream as JSON.', {
  token: secret('Token set in the console.'),
  encodingAesKey: Type.Optional(secret('EncodingAESKey set in the console, 43 characters. Plain mode needs none.')),
  ...eventDelivery
})

export const apps = Type.Array(
  mapping('A mini-program.', {
    appid: appId('AppID of the mini-program.'),
    name: Type.Optional(text('Display name.')),
    secret: secret('AppSecret; the word `sandbox` marks an app that exists in the sandbox only.'),
    wxapiLimit: wxapiLimit("Calls of all backends to WeChat's API for this mini-program (`/wxapi`).", 512),
    virtualPay: Type.Optional(virtualPay),
    apiSignature: Type.Optional(apiSignature),
    push: Type.Optional(push),
    prefetch: Type.Optional(prefetch),
    pay: Type.Optional(pay)
  }),
  { description: 'The mini-programs.', minItems: 1, maxItems: 1024 }
)

export type WrittenApps = Static<typeof apps>
export type AppsDraft = Draft<{ apps: WrittenApps }>
export type AppConfig = DeepReadonly<ReturnType<typeof resolveApp>>

/** As the console of WeChat accepts and generates them. */
const PUSH_TOKEN = /^[A-Za-z0-9]{3,32}$/
const ENCODING_AES_KEY = /^[A-Za-z0-9+/]{43}$/

export function checkApps(draft: AppsDraft & UpstreamsDraft, { report }: RuleContext): void {
  const apps = entries(draft.apps)
  reportRepeats(
    apps.map(([index, { appid }]) => [['apps', index, 'appid'], appid]),
    (line) => `is given twice, first on line ${line}`,
    report
  )
  for (const [index, { push, pay, prefetch, apiSignature }] of apps) {
    if (apiSignature !== undefined) checkApiSignature(apiSignature, ['apps', index, 'apiSignature'], report)
    if (prefetch !== undefined) checkDestination(prefetch, ['apps', index, 'prefetch'], draft, report)
    if (pay !== undefined) checkPay(pay, ['apps', index, 'pay'], draft, report)
    const path = ['apps', index, 'push']
    if (push !== undefined) checkDestination(push, path, draft, report)
    if (push?.token !== undefined && !PUSH_TOKEN.test(push.token))
      report.error([...path, 'token'], 'must be the Token of the console: 3 to 32 letters or digits')
    const key = push?.encodingAesKey
    if (key !== undefined && !ENCODING_AES_KEY.test(key))
      report.error([...path, 'encodingAesKey'], 'must be the EncodingAESKey of the console: 43 letters or digits')
  }
  for (const [index, { virtualPay }] of apps) {
    if (virtualPay === undefined || (virtualPay.appKey ?? virtualPay.sandboxAppKey) !== undefined) continue
    report.warn(['apps', index, 'virtualPay'], 'has neither appKey nor sandboxAppKey')
  }
}

export function resolveApp(app: WrittenApps[number]) {
  const { appid, name, secret, wxapiLimit, virtualPay, apiSignature, push, prefetch, pay } = app
  return {
    appId: appid,
    name: name ?? null,
    secret,
    wxapiLimit: resolveWxapiLimit(wxapiLimit),
    /** App keys of virtual payment, by environment. */
    virtualPay:
      virtualPay === undefined
        ? null
        : { appKey: virtualPay.appKey ?? null, sandboxAppKey: virtualPay.sandboxAppKey ?? null },
    push:
      push === undefined
        ? null
        : { token: push.token, encodingAesKey: push.encodingAesKey ?? null, ...resolveEventDelivery(push) },
    apiSignature: apiSignature ?? null,
    prefetch: prefetch === undefined ? null : resolvePrefetch(prefetch),
    pay: pay === undefined ? null : resolvePay(pay)
  }
}

export type WxapiLimit = DeepReadonly<ReturnType<typeof resolveWxapiLimit>>

export function resolveWxapiLimit({ rateLimit, concurrency }: WrittenApps[number]['wxapiLimit']) {
  return {
    rateLimit: rateLimit === undefined ? null : { max: rateLimit.max, window: milliseconds(rateLimit.window) },
    concurrency
  }
}

/** @param path Place of the list in the file. */
export function reportUnknownApps(
  apps: readonly (string | undefined)[] | undefined,
  path: Path,
  draft: AppsDraft,
  report: Report
): void {
  for (const [index, appId] of entries(apps)) reportUnknownApp(appId, [...path, index], draft, report)
}

export function reportUnknownApp(appId: string, path: Path, draft: AppsDraft, report: Report): void {
  const known = entries(draft.apps).flatMap(([, app]) => app.appid ?? [])
  // An app that could not be read may be the wanted one.
  if (draft.apps?.length !== known.length || known.includes(appId)) return
  report.error(path, `there is no app ${quote(appId)}`, didYouMean(appId, known))
}
