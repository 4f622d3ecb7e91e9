/** `wechat`: the server API of WeChat, or the sandbox instead. */
import { isLoopback } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { didYouMean, type Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries, type RuleContext, refuseInProduction } from '../section.ts'
import { duration, secret, section, text } from '../terms.ts'
import { milliseconds } from '../units.ts'
import { type AppsDraft, SANDBOX, type WrittenApps } from './apps.ts'

const WECHAT = 'https://api.weixin.qq.com'
const WECHAT_PAY = 'https://api.mch.weixin.qq.com'

export const wechat = section('The server API of WeChat.', {
  apiBase: Type.Optional(
    text(
      'Its URL, or the word `sandbox` for the built-in sandbox. Default: `https://api.weixin.qq.com`, or `sandbox` when every app has the secret `sandbox`.'
    )
  ),
  payBase: Type.Optional(
    text(
      'URL of the pay API, or the word `sandbox`. Default: `https://api.mch.weixin.qq.com`, or `sandbox` where apiBase is `sandbox`.'
    )
  ),
  payFallbackBase: Type.Optional(
    text(
      'Used while no connection to `payBase` opens, such as `https://api2.mch.weixin.qq.com`. A call that may have reached WeChat Pay is not repeated.'
    )
  ),
  fallbackBase: Type.Optional(
    text(
      'Used while no connection to `apiBase` opens, such as `https://api2.weixin.qq.com`. A call that may have reached WeChat is not repeated.'
    )
  ),
  proxy: Type.Optional(
    secret(
      'Outbound proxy for every call to WeChat (CONNECT), such as `http://user:password@10.0.0.9:3128`. Characters other than letters and digits in user and password are percent-encoded.'
    )
  ),
  timeout: duration('Deadline for one call.', '5s', { min: '10ms', max: '60s' })
})

export type WechatDraft = Draft<{ wechat: Static<typeof wechat> }>

export function checkWechat(draft: WechatDraft & AppsDraft, context: RuleContext): void {
  const { report } = context
  checkPayBase(draft, context)
  const apps = entries(draft.apps).filter(([, app]) => app.secret !== undefined)
  const sandboxed = apps.filter(([, app]) => app.secret === SANDBOX)
  const { apiBase, fallbackBase, payFallbackBase, proxy } = draft.wechat ?? {}
  const [first] = sandboxed
  for (const [key, base] of Object.entries({ apiBase, fallbackBase }))
    if (base !== undefined && base !== SANDBOX)
      checkBase(base, ['wechat', key], 'every AppSecret travels in clear to this address', report)
  for (const [key, base] of Object.entries({ fallbackBase, payFallbackBase }))
    if (base === SANDBOX) report.error(['wechat', key], 'must be a URL: the sandbox does not stand in for WeChat')
  if (proxy !== undefined) checkProxy(proxy, context)
  if (apiBase === SANDBOX || (apiBase === undefined && first !== undefined && sandboxed.length === apps.length)) {
    const place: Path = apiBase === SANDBOX ? ['wechat', 'apiBase'] : ['apps', first?.[0] ?? 0, 'secret']
    refuseInProduction(context, place, 'the sandbox is refused', 'sandbox')
    for (const [key, value] of Object.entries({ fallbackBase, payFallbackBase, proxy }))
      if (value !== undefined) report.warn(['wechat', key], 'has no effect with the sandbox')
    return
  }
  for (const [index] of sandboxed) {
    const message =
      apiBase === undefined
        ? 'this app exists in the sandbox only, and others do not: one gateway talks to one of the two'
        : 'this app exists in the sandbox only, and wechat.apiBase names another server'
    report.error(['apps', index, 'secret'], message)
  }
}

/** The built-in sandbox plays the pay API too, and runs only as `apiBase`. */
function checkPayBase({ wechat, apps }: WechatDraft & AppsDraft, { report }: RuleContext): void {
  const { payBase, payFallbackBase } = wechat ?? {}
  const inClear = 'payments travel in clear to this address'
  if (payFallbackBase !== undefined && payFallbackBase !== SANDBOX)
    checkBase(payFallbackBase, ['wechat', 'payFallbackBase'], inClear, report)
  if (payBase === undefined) return
  const path = ['wechat', 'payBase']
  if (payBase !== SANDBOX) checkBase(payBase, path, inClear, report)
  else if ((wechat?.apiBase ?? standardBase(entries(apps).map(([, app]) => app))) !== SANDBOX)
    report.error(path, 'the built-in sandbox runs only where wechat.apiBase is sandbox')
}

function checkBase(base: string, path: Path, inClear: string, report: Report): void {
  if (!/^https?:\/\/[^\s\\?#@]+$/.test(base) || !URL.canParse(base)) {
    const message = 'must be an http or https URL without credentials, query and fragment, or the word sandbox'
    report.error(path, message, didYouMean(base, [SANDBOX]))
  } else if (base.startsWith('http:') && !isLoopback(new URL(base).hostname)) {
    report.warn(path, inClear, 'use https')
  }
}

function standardBase(apps: readonly { readonly secret?: string | undefined }[]): string {
  return apps.every((app) => app.secret === SANDBOX) ? SANDBOX : WECHAT
}

/** The messages repeat no part of the value, which holds a password. */
function checkProxy(proxy: string, { report }: RuleContext): void {
  const path = ['wechat', 'proxy']
  const isUrl = /^http:\/\/[\x21-\x7e]+$/.test(proxy) && URL.canParse(proxy)
  if (!isUrl || !/^http:\/\/[^/?#]+\/?$/.test(proxy)) {
    const hint = 'write http://user:password@10.0.0.9:3128; encode / as %2F, @ as %40, # as %23 and ? as %3F'
    report.error(path, 'must be an http URL without a path', hint)
    return
  }
  const { username, password } = new URL(proxy)
  try {
    if (decodeURIComponent(username).includes(':')) report.error(path, 'has a colon in the user name')
    decodeURIComponent(password)
  } catch {
    report.error(path, 'has a % that begins no percent-encoded byte', 'encode % as %25')
  }
}

export function resolveWechat(written: Static<typeof wechat>, apps: WrittenApps) {
  const apiBase = withoutSlash(written.apiBase) ?? standardBase(apps)
  const isSandbox = apiBase === SANDBOX
  const payBase = withoutSlash(written.payBase) ?? (isSandbox ? SANDBOX : WECHAT_PAY)
  return {
    /** A URL without a trailing slash, or the word `sandbox`. */
    apiBase,
    /** The same for the pay API. */
    payBase,
    payFallbackBase: payBase === SANDBOX ? null : (withoutSlash(written.payFallbackBase) ?? null),
    fallbackBase: isSandbox ? null : (withoutSlash(written.fallbackBase) ?? null),
    /** With its credentials. */
    proxy: isSandbox ? null : (written.proxy ?? null),
    timeout: milliseconds(written.timeout)
  }
}

function withoutSlash(base: string | undefined): string | undefined {
  return base?.replace(/\/+$/, '')
}
