import { inspect } from 'node:util'
import { test } from 'tap'
import type { Fault } from '../src/sandbox/faults.ts'
import { buildWeChat, SHOP } from './support/wechat.ts'

const CODES = [
  'alice',
  'errcode--1',
  'errcode-40029',
  'errcode-40125',
  'errcode-45011',
  'html',
  'empty',
  'huge',
  'reset'
]
  .concat(['truncated', 'garbage', 'hang', 'no-openid', 'bad-openid', 'bad-session-key', 'status-500', 'status-302'])
  .map((name) => `sandbox-${name}`)

const FAULTS: readonly Fault[] = [
  { kind: 'errcode', errcode: 40001 },
  { kind: 'errcode', errcode: 87009 },
  { kind: 'html' },
  { kind: 'reset' },
  { kind: 'garbage' },
  { kind: 'hang' },
  { kind: 'bad-session-key' },
  { kind: 'bad-openid' }
]

test('AppSecret, session_key and access token are in no error and no log line', async (t) => {
  const { wechat, sandbox, lines } = await buildWeChat(t, { timeout: 500 })
  const secrets = new Set([SHOP.secret])
  const errors: unknown[] = []
  const attempt = (call: Promise<unknown>) => call.catch((error) => errors.push(error))

  for (const code of CODES) {
    await attempt(wechat.login(SHOP, code))
    const { openId } = sandbox.state.people.person(SHOP.appId, code === 'sandbox-alice' ? 'alice' : 'fault')
    const { current } = sandbox.state.people.sessionKeys(SHOP.appId, openId)
    if (current) secrets.add(current)
  }
  for (const path of ['/wxa/checksession', '/wxa/resetusersessionkey', '/wxa/business/getuserphonenumber']) {
    for (const fault of FAULTS) {
      const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
      secrets.add(sessionKey).add(await wechat.apiTokens.get(SHOP))
      sandbox.state.faults.add({ path, fault, appId: null, times: 2, skip: 0, after: false })
      if (path.endsWith('checksession')) await attempt(wechat.checkSession(SHOP, openId, sessionKey))
      else if (path.endsWith('sessionkey')) await attempt(wechat.resetSession(SHOP, openId, sessionKey))
      else await attempt(wechat.phoneNumber(SHOP, openId, 'sandbox-phone-alice'))
      sandbox.state.faults.clear()
    }
  }
  await sandbox.close()
  await attempt(wechat.login(SHOP, 'sandbox-alice'))

  t.ok(errors.length > 30, `${errors.length} errors`)
  t.ok(lines.length > 30, `${lines.length} log lines`)
  const shown = errors.map((error) => inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })).join('\n')
  const logged = lines.join('')
  for (const secret of secrets) {
    // Also in the spelling of a URL.
    for (const spelling of [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ s: secret }).toString().slice(2)
    ]) {
      t.notOk(shown.includes(spelling), 'no error shows it')
      t.notOk(logged.includes(spelling), 'no log line shows it')
    }
  }
})
