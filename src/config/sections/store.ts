/** Secrets, apps, store and WeChat: what the promises of the gateway rest on, and what production refuses. */

import { isLoopback } from '../../http/addresses.ts'
import { parseRedisUrl } from '../../store/redis-url.ts'
import { didYouMean, type Path } from '../problem.ts'
import { parseDuration } from '../units.ts'
import { type Allowance, entries, type Rule, type RuleContext } from './rule.ts'

/** Stands for a secret that is made at the first start. */
export const GENERATED = 'generated'
/** As `apps[].secret`: an app that exists only in the sandbox. As `wechat.apiBase`: the built-in stand-in for WeChat. */
export const SANDBOX = 'sandbox'

export const trust: Rule = (context) => {
  secrets(context)
  appIds(context)
  wechat(context)
  store(context)
  lifetimes(context)
}

function refuseInProduction(context: RuleContext, path: Path, what: string, allowance: Allowance): void {
  if (!context.isProduction || context.allow.has(allowance)) return
  context.report.error(
    path,
    `${what} when NODE_ENV=production`,
    `to use it all the same, say --allow ${allowance} or WXGATE_ALLOW=${allowance}`
  )
}

const secrets: Rule = (context) => {
  const { draft, report } = context
  const seen = new Map<string, number>()
  for (const [index, secret] of entries(draft.secrets)) {
    const path = ['secrets', index]
    const first = seen.get(secret)
    if (first === undefined) seen.set(secret, index)
    else report.error(path, `is the same as the one on line ${report.line(['secrets', first])}`)
    if (secret === GENERATED) {
      refuseInProduction(context, path, 'a generated secret is refused', 'generated-secrets')
      if (draft.store !== undefined && isRedis(draft.store)) {
        report.error(
          path,
          'a generated secret belongs to one machine, and instances that share Redis must share the secret'
        )
      }
    } else if (secret.length < 32) {
      report.error(path, 'must have at least 32 characters', 'wxgate keygen prints a good one')
    } else if (new Set(secret).size < 8) {
      report.error(
        path,
        'is too easy to guess: it has fewer than 8 different characters',
        'wxgate keygen prints a good one'
      )
    }
  }
}

const appIds: Rule = ({ draft, report }) => {
  const seen = new Map<string, number>()
  for (const [index, { appid, virtualPay }] of entries(draft.apps)) {
    if (virtualPay !== undefined && virtualPay.appKey === undefined && virtualPay.sandboxAppKey === undefined) {
      report.warn(['apps', index, 'virtualPay'], 'has neither appKey nor sandboxAppKey')
    }
    if (appid === undefined) continue
    const first = seen.get(appid)
    if (first === undefined) seen.set(appid, index)
    else
      report.error(['apps', index, 'appid'], `is given twice, first on line ${report.line(['apps', first, 'appid'])}`)
  }
}

const wechat: Rule = (context) => {
  const { draft, report } = context
  const apps = entries(draft.apps).filter(([, app]) => app.secret !== undefined)
  const pretended = apps.filter(([, app]) => app.secret === SANDBOX)
  const apiBase = draft.wechat?.apiBase
  const isSandbox =
    apiBase === SANDBOX || (apiBase === undefined && pretended.length > 0 && pretended.length === apps.length)
  const [first] = pretended
  if (isSandbox) {
    const place: Path = apiBase === SANDBOX ? ['wechat', 'apiBase'] : ['apps', first?.[0] ?? 0, 'secret']
    refuseInProduction(context, place, 'the sandbox is refused', 'sandbox')
    return
  }
  if (apiBase !== undefined) {
    const fault = apiBaseFault(apiBase)
    if (fault !== null) report.error(['wechat', 'apiBase'], fault, didYouMean(apiBase, [SANDBOX]))
    else if (apiBase.startsWith('http:') && !isLoopback(new URL(apiBase).hostname)) {
      report.warn(['wechat', 'apiBase'], 'every AppSecret travels in clear to this address', 'use https')
    }
  }
  for (const [index] of pretended) {
    const message =
      apiBase === undefined
        ? 'this app exists in the sandbox only, and others do not: one gateway talks to one of the two'
        : 'this app exists in the sandbox only, and wechat.apiBase names another WeChat'
    report.error(['apps', index, 'secret'], message)
  }
}

function apiBaseFault(text: string): string | null {
  if (!/^https?:\/\/[^\s\\?#@]+$/.test(text) || !URL.canParse(text)) {
    return 'must be a http or https URL without credentials, query and fragment, or the word sandbox'
  }
  return null
}

const store: Rule = (context) => {
  const { report } = context
  const { store, server } = context.draft
  if (store === undefined) return
  const workers = server?.workers
  if (isMemory(store)) {
    refuseInProduction(
      context,
      ['store'],
      'a store in memory, which forgets every session at a restart, is refused',
      'memory-store'
    )
    if (workers === 'auto' || (workers !== undefined && workers > 1)) {
      report.error(
        ['server', 'workers'],
        'needs a store that processes can share: with memory: each of them would know its own sessions only',
        'use sqlite: or redis:, or 1 worker'
      )
    }
    return
  }
  const fault = storeFault(store)
  const scheme = store.split(':', 1)[0] ?? ''
  if (fault !== null) {
    report.error(['store'], fault, schemes.includes(`${scheme}:`) ? undefined : didYouMean(scheme, schemes))
  } else if (/^redis(?:\+\w+)?:/.test(store) && isRemote(store)) {
    report.warn(['store'], 'sessions travel in clear to Redis', 'use rediss: outside a private network')
  }
}

const schemes = ['memory:', 'sqlite:', 'redis:', 'rediss:', 'redis+cluster:', 'redis+sentinel:']

/** YAML takes an unquoted `memory:` for a key, so the word alone will do. */
export function isMemory(store: string): boolean {
  return store === 'memory:' || store === 'memory'
}

export function isRedis(store: string): boolean {
  return /^rediss?(?:\+\w+)?:/.test(store)
}

function storeFault(store: string): string | null {
  if (/^sqlite:[^\0]+$/.test(store)) {
    return /^sqlite::memory:|^sqlite:\/\//.test(store)
      ? 'must name a file after sqlite:, such as sqlite:./data/wxgate.db'
      : null
  }
  try {
    if (parseRedisUrl(store) !== null) return null
  } catch (error) {
    return error instanceof Error ? error.message : 'cannot be read'
  }
  return 'must be "memory:", sqlite:PATH, redis://HOST or rediss://HOST'
}

/** Whether a host is named outside this machine. */
function isRemote(store: string): boolean {
  const host = /^redis(?:\+\w+)?:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^:/?,]*)/.exec(store)?.[1] ?? ''
  return !isLoopback(host)
}

const lifetimes: Rule = ({ draft: { tokens }, report }) => {
  const life = (text: string | undefined) => (text === undefined ? null : parseDuration(text))
  const [access, refresh, longest] = [life(tokens?.accessTtl), life(tokens?.refreshTtl), life(tokens?.refreshMaxTtl)]
  if (access !== null && refresh !== null && access > refresh) {
    report.error(['tokens', 'accessTtl'], 'must not be longer than tokens.refreshTtl')
  }
  if (refresh !== null && longest !== null && refresh > longest) {
    report.error(['tokens', 'refreshTtl'], 'must not be longer than tokens.refreshMaxTtl')
  }
  if (access !== null && access > 86_400_000) {
    report.warn(
      ['tokens', 'accessTtl'],
      'an access token of more than a day is long: what ends it early has to be remembered as long'
    )
  }
}
