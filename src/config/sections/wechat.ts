/** `wechat`: the server API of WeChat, or the sandbox instead. */

import { isLoopback } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { didYouMean, type Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries, type RuleContext, refuseInProduction } from '../section.ts'
import { duration, section, text } from '../terms.ts'
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
  timeout: duration('Deadline for one call.', '5s', { min: '10ms', max: '60s' })
})

export type WechatDraft = Draft<{ wechat: Static<typeof wechat> }>

export function checkWechat(draft: WechatDraft & AppsDraft, context: RuleContext): void {
  const { report } = context
  checkPayBase(draft, context)
  const apps = entries(draft.apps).filter(([, app]) => app.secret !== undefined)
  const sandboxed = apps.filter(([, app]) => app.secret === SANDBOX)
  const apiBase = draft.wechat?.apiBase
  const [first] = sandboxed
  if (apiBase === SANDBOX || (apiBase === undefined && first !== undefined && sandboxed.length === apps.length)) {
    const place: Path = apiBase === SANDBOX ? ['wechat', 'apiBase'] : ['apps', first?.[0] ?? 0, 'secret']
    refuseInProduction(context, place, 'the sandbox is refused', 'sandbox')
    return
  }
  if (apiBase !== undefined) checkApiBase(apiBase, context)
  for (const [index] of sandboxed) {
    const message =
      apiBase === undefined
        ? 'this app exists in the sandbox only, and others do not: one gateway talks to one of the two'
        : 'this app exists in the sandbox only, and wechat.apiBase names another server'
    report.error(['apps', index, 'secret'], message)
  }
}

function checkApiBase(apiBase: string, { report }: RuleContext): void {
  checkBase(apiBase, ['wechat', 'apiBase'], 'every AppSecret travels in clear to this address', report)
}

/** The built-in sandbox plays the pay API too, and runs only as `apiBase`. */
function checkPayBase({ wechat, apps }: WechatDraft & AppsDraft, { report }: RuleContext): void {
  const payBase = wechat?.payBase
  if (payBase === undefined) return
  const path = ['wechat', 'payBase']
  if (payBase !== SANDBOX) checkBase(payBase, path, 'payments travel in clear to this address', report)
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

export function resolveWechat(written: Static<typeof wechat>, apps: WrittenApps) {
  const apiBase = withoutSlash(written.apiBase) ?? standardBase(apps)
  return {
    /** A URL without a trailing slash, or the word `sandbox`. */
    apiBase,
    /** The same for the pay API. */
    payBase: withoutSlash(written.payBase) ?? (apiBase === SANDBOX ? SANDBOX : WECHAT_PAY),
    timeout: milliseconds(written.timeout)
  }
}

function withoutSlash(base: string | undefined): string | undefined {
  return base?.replace(/\/+$/, '')
}
