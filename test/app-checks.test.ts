/** The check of each app's credentials at the start, after a reload, and while WeChat refuses
 *  them. */
import { writeFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { type CheckedApp, createAppChecks } from '../src/gateway/app-checks.ts'
import type { ProbeVerdict } from '../src/platforms/wechat/probe.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { createFakeClock } from './support/clock.ts'
import { APP_SECRET, APPID, defaultConfig, OTHER_APPID } from './support/gateway.ts'
import { freePort, startProcess, untilStatus, writeConfig } from './support/process.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const WRONG = 'wrong-appsecret-0123456789abcdef'
const REFUSED: ProbeVerdict = {
  state: 'refused',
  errcode: 40125,
  problem: 'the AppSecret is wrong',
  advice: 'compare it'
}
const UNKNOWN: ProbeVerdict = { state: 'unknown', errcode: null, problem: 'no answer', advice: 'try again' }

const turn = () => new Promise((resolve) => setImmediate(resolve))

function createChecks(answers: Record<string, ProbeVerdict>) {
  const clock = createFakeClock()
  const asked: CheckedApp[] = []
  const lines: string[] = []
  const logged = (level: string) => (fields: object, text?: string) =>
    void lines.push(`${level} ${text} ${JSON.stringify(fields)}`)
  const checks = createAppChecks({
    async probe(app) {
      asked.push(app)
      return answers[app.appId] ?? { state: 'ok' }
    },
    clock,
    log: { info: logged('info'), warn: logged('warn'), error: logged('error') }
  })
  return { checks, clock, asked, lines, answers }
}

test('a refused app is logged as an error with the next step, and one that WeChat accepts is not', async (t) => {
  const { checks, lines } = createChecks({ wx1: REFUSED })
  checks.use([
    { appId: 'wx1', secret: 'canary' },
    { appId: 'wx2', secret: 'canary' }
  ])
  t.same(checks.states(), { wx1: 'pending', wx2: 'pending' })
  await turn()
  t.same(checks.states(), { wx1: 'refused', wx2: 'ok' })
  t.equal(lines.length, 1)
  t.match(lines[0], /^error WeChat refuses .*"appid":"wx1","errcode":40125,"problem":".+","advice":".+"/)
  t.notMatch(lines.join(), 'canary')
})

test('a reload checks apps that are new or have another secret, and no others', async (t) => {
  const { checks, asked } = createChecks({})
  checks.use([
    { appId: 'wx1', secret: 'a' },
    { appId: 'wx2', secret: 'b' }
  ])
  await turn()
  asked.length = 0
  checks.use([
    { appId: 'wx1', secret: 'a' },
    { appId: 'wx2', secret: 'c' },
    { appId: 'wx3', secret: 'd' }
  ])
  await turn()
  t.same(
    asked.map(({ appId }) => appId),
    ['wx2', 'wx3']
  )
  checks.use([{ appId: 'wx1', secret: 'a' }])
  await turn()
  t.equal(asked.length, 2)
  t.same(checks.states(), { wx1: 'ok' })
})

test('an app that WeChat does not accept is asked about again each minute, and logged when that changes', async (t) => {
  const { checks, clock, asked, lines, answers } = createChecks({ wx1: UNKNOWN })
  checks.use([{ appId: 'wx1', secret: 'a' }])
  await turn()
  for (const [verdict, state] of [
    [UNKNOWN, 'unknown'],
    [REFUSED, 'refused'],
    [REFUSED, 'refused'],
    [{ state: 'ok' }, 'ok'],
    [REFUSED, 'ok']
  ] as const) {
    answers.wx1 = verdict
    clock.advance(60_000)
    await turn()
    t.equal(checks.states().wx1, state)
  }
  t.equal(asked.length, 5, 'an accepted app is not asked about again')
  t.same(
    lines.map((line) => line.split(' ')[0]),
    ['warn', 'error', 'info']
  )
})

test('a check that ends after its app was replaced or the gateway was closed changes nothing', async (t) => {
  const { checks, clock, lines } = createChecks({ wx1: REFUSED })
  checks.use([{ appId: 'wx1', secret: 'a' }])
  checks.stop()
  await turn()
  t.same(checks.states(), {})
  t.same(lines, [])
  t.equal(clock.pending, 0)
})

async function startSandbox(t: Test) {
  const apps = [
    { appid: APPID, secret: APP_SECRET },
    { appid: OTHER_APPID, secret: APP_SECRET }
  ]
  const sandbox = createSandbox({ clock: systemClock, apps })
  t.teardown(() => sandbox.close())
  return sandbox.listen(0, '127.0.0.1')
}

test('a wrong AppSecret is logged at the start and shown by /readyz?verbose; the gateway is ready all the same', async (t) => {
  const { url: apiBase } = await startSandbox(t)
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const configFor = (secrets: Record<string, string>) => ({
    ...defaultConfig(upstream.url),
    server: { host: '127.0.0.1', port, drain: { delay: '0s', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort },
    wechat: { apiBase, timeout: '30s' },
    apps: Object.entries(secrets).map(([appid, secret]) => ({ appid, secret }))
  })
  const { file } = writeConfig(t, configFor({ [APPID]: APP_SECRET, [OTHER_APPID]: WRONG }))
  const { child, output } = startProcess(t, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200)
  const states = async () => {
    const response = await fetch(`${url}/readyz?verbose`)
    t.equal(response.status, 200)
    const { status, checks } = (await response.json()) as { status: string; checks: { apps: Record<string, string> } }
    t.equal(status, 'ok')
    return checks.apps
  }
  await until(async () => !Object.values(await states()).includes('pending'))
  t.same(await states(), { [APPID]: 'ok', [OTHER_APPID]: 'refused' })
  // Log lines leave the process in batches.
  await until(() => output().includes('"event":"app_check"'))
  t.match(
    output(),
    new RegExp(`"level":50.*"event":"app_check","appid":"${OTHER_APPID}","errcode":\\d+.*"advice":"compare`)
  )

  writeFileSync(file, JSON.stringify(configFor({ [APPID]: APP_SECRET, [OTHER_APPID]: APP_SECRET })))
  child.kill('SIGHUP')
  await until(async () => (await states())[OTHER_APPID] === 'ok')
  t.equal(output().split('"event":"app_check"').length - 1, 1, 'the app that did not change is not reported')
  t.notMatch(output(), WRONG)
  t.notMatch(output(), APP_SECRET)
})

test('WeChat that cannot be reached is a warning, and the gateway is ready', async (t) => {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const { file } = writeConfig(t, {
    ...defaultConfig(upstream.url),
    server: { host: '127.0.0.1', port, drain: { delay: '0s', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort },
    wechat: { apiBase: `http://127.0.0.1:${await freePort()}`, timeout: '30s' }
  })
  const { output } = startProcess(t, ['run', '-c', file])
  t.equal(await untilStatus(`http://127.0.0.1:${port}/readyz`, 200), 200)
  await until(() => output().includes('"event":"app_check"'))
  t.match(output(), /"level":40.*"event":"app_check".*ECONNREFUSED.*DNS, firewall/)
  t.notMatch(output(), APP_SECRET)
})
