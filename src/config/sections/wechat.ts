/** `wechat`: the server API of WeChat, or the sandbox instead. */

import { isLoopback } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { didYouMean, type Path } from '../problem.ts'
import { type Draft, entries, type RuleContext, refuseInProduction } from '../section.ts'
import { duration, section, text } from '../terms.ts'
import { milliseconds } from '../units.ts'
import { type AppsDraft, SANDBOX, type WrittenApps } from './apps.ts'

const WECHAT = 'https://api.weixin.qq.com'

export const wechat = section('The server API of WeChat.', {
  apiBase: Type.Optional(
    text(
      'Its URL, or the word `sandbox` for the built-in sandbox. Default: `https://api.weixin.qq.com`, or `sandbox` when every app has the secret `sandbox`.'
    )
  ),
  timeout: duration('Deadline for one call.', '5s', { min: '10ms', max: '60s' })
})

export type WechatDraft = Draft<{ wechat: Static<typeof wechat> }>

export function checkWechat(draft: WechatDraft & AppsDraft, context: RuleContext): void {
  const { report } = context
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
  const path = ['wechat', 'apiBase']
  if (!/^https?:\/\/[^\s\\?#@]+$/.test(apiBase) || !URL.canParse(apiBase)) {
    const message = 'must be an http or https URL without credentials, query and fragment, or the word sandbox'
    report.error(path, message, didYouMean(apiBase, [SANDBOX]))
  } else if (apiBase.startsWith('http:') && !isLoopback(new URL(apiBase).hostname)) {
    report.warn(path, 'every AppSecret travels in clear to this address', 'use https')
  }
}

export function resolveWechat(written: Static<typeof wechat>, apps: WrittenApps) {
  const standard = apps.every((app) => app.secret === SANDBOX) ? SANDBOX : WECHAT
  return {
    /** A URL without a trailing slash, or the word `sandbox`. */
    apiBase: written.apiBase?.replace(/\/+$/, '') ?? standard,
    timeout: milliseconds(written.timeout)
  }
}
