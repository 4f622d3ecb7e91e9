/** `apps`: the mini-programs and their credentials. */
import { type Static, Type } from '../../schema.ts'
import { didYouMean, type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext, reportRepeats } from '../section.ts'
import { mapping, matching, privatePem, publicPem, secret, text } from '../terms.ts'

/** As `apps[].secret`: an app of the sandbox only. As `wechat.apiBase`: the built-in sandbox. */
export const SANDBOX = 'sandbox'

export function appId(description: string) {
  return matching(description, '^wx[0-9a-zA-Z]{4,32}$', 'an appid: wx and 4 to 32 letters or digits')
}

const virtualPay = mapping('Keys of virtual payment, for `pay_sig`.', {
  appKey: Type.Optional(secret('App key of the live environment (env 0).')),
  sandboxAppKey: Type.Optional(secret('App key of the sandbox environment (env 1).'))
})

const push = mapping('Message push.', {
  token: secret('Token set in the console.'),
  encodingAesKey: secret('EncodingAESKey set in the console, 43 characters.'),
  upstream: text('Upstream that receives the events.'),
  path: text('Path there.')
})

const pay = mapping('WeChat Pay of a merchant, API v3.', {
  mchid: matching(
    'Merchant number; in quotes, because it is text.',
    '^[0-9]{4,32}$',
    'a merchant number: 4 to 32 digits in quotes'
  ),
  serialNo: text('Serial number of the merchant certificate.'),
  privateKey: privatePem('Private key of the merchant in PEM.'),
  apiV3Key: secret('APIv3 key, 32 characters.'),
  upstream: text('Upstream that receives the payment results.'),
  path: text('Path there.'),
  platformKeys: Type.Array(
    mapping('A public key of WeChat Pay.', {
      serial: text('Serial number, such as PUB_KEY_ID_0110….'),
      publicKey: publicPem('The key in PEM.')
    }),
    { description: 'Keys that verify payment results.', minItems: 1, maxItems: 64 }
  )
})

export const apps = Type.Array(
  mapping('A mini-program.', {
    appid: appId('AppID of the mini-program.'),
    name: Type.Optional(text('Display name.')),
    secret: secret('AppSecret; the word `sandbox` marks an app that exists in the sandbox only.'),
    virtualPay: Type.Optional(virtualPay),
    push: Type.Optional(push),
    pay: Type.Optional(pay)
  }),
  { description: 'The mini-programs.', minItems: 1, maxItems: 1024 }
)

export type WrittenApps = Static<typeof apps>
export type AppsDraft = Draft<{ apps: WrittenApps }>
export type AppConfig = DeepReadonly<ReturnType<typeof resolveApp>>

export function checkApps(draft: AppsDraft, { report }: RuleContext): void {
  const apps = entries(draft.apps)
  reportRepeats(
    apps.map(([index, { appid }]) => [['apps', index, 'appid'], appid]),
    (line) => `is given twice, first on line ${line}`,
    report
  )
  for (const [index, { virtualPay }] of apps) {
    if (virtualPay === undefined || (virtualPay.appKey ?? virtualPay.sandboxAppKey) !== undefined) continue
    report.warn(['apps', index, 'virtualPay'], 'has neither appKey nor sandboxAppKey')
  }
}

export function resolveApp({ appid, name, secret, virtualPay }: WrittenApps[number]) {
  return {
    appId: appid,
    name: name ?? null,
    secret,
    /** App keys of virtual payment, by environment. */
    virtualPay:
      virtualPay === undefined
        ? null
        : { appKey: virtualPay.appKey ?? null, sandboxAppKey: virtualPay.sandboxAppKey ?? null }
  }
}

/** @param path Place of the list in the file. */
export function reportUnknownApps(
  apps: readonly (string | undefined)[] | undefined,
  path: Path,
  draft: AppsDraft,
  report: Report
): void {
  const known = entries(draft.apps).flatMap(([, app]) => app.appid ?? [])
  // An app that could not be read may be the wanted one.
  if (draft.apps?.length !== known.length) return
  for (const [index, appId] of entries(apps)) {
    if (!known.includes(appId))
      report.error([...path, index], `there is no app ${quote(appId)}`, didYouMean(appId, known))
  }
}
