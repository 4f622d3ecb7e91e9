/** `apps`: the mini-programs and their credentials. */
import { type Static, Type } from '../../schema.ts'
import { pathFault } from '../path-fault.ts'
import { didYouMean, type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext, reportRepeats } from '../section.ts'
import { integer, lifetime, mapping, matching, privatePem, publicPem, secret, section, size, text } from '../terms.ts'
import { bytes, milliseconds } from '../units.ts'
import { checkUpstreamName, type UpstreamsDraft } from './upstreams.ts'

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
  upstream: text('Upstream that receives the events.'),
  path: text('Path there.'),
  retry: section('Events that the upstream did not take.', {
    maxAge: lifetime('An event is dead when it is older.', '24h', '1m'),
    backlog: integer('Events that may wait; WeChat gets 503 beyond it.', 1, 10_000_000, 100_000),
    backlogSize: size('Size of the events that may wait.', '256mb', { min: '1mb' })
  })
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
  for (const [index, { push }] of apps) {
    const path = ['apps', index, 'push']
    if (push?.upstream !== undefined) checkUpstreamName(push.upstream, [...path, 'upstream'], draft, report)
    const fault = push?.path === undefined ? null : pathFault(push.path)
    if (fault !== null) report.error([...path, 'path'], fault.message, fault.hint)
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

export function resolveApp({ appid, name, secret, virtualPay, push }: WrittenApps[number]) {
  return {
    appId: appid,
    name: name ?? null,
    secret,
    /** App keys of virtual payment, by environment. */
    virtualPay:
      virtualPay === undefined
        ? null
        : { appKey: virtualPay.appKey ?? null, sandboxAppKey: virtualPay.sandboxAppKey ?? null },
    push: push === undefined ? null : resolvePush(push)
  }
}

function resolvePush({ token, encodingAesKey, upstream, path, retry }: NonNullable<WrittenApps[number]['push']>) {
  const { maxAge, backlog, backlogSize } = retry
  return {
    token,
    encodingAesKey: encodingAesKey ?? null,
    upstream,
    path,
    retry: { maxAge: milliseconds(maxAge), backlog, backlogBytes: bytes(backlogSize) }
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
