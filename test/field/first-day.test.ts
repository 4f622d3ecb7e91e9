/** The first day of a new user: wrong commands, starter files, warnings, a reload of the demo. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { wxgate } from '../support/cli.ts'
import { defaultConfig, SECRET } from '../support/gateway.ts'
import { freePort, startProcess, untilStatus, writeConfig } from '../support/process.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-first-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('a wrong command line names the probable intention', async (t) => {
  const folder = temporaryFolder(t)
  for (const [line, said] of [
    ['valdate', 'unknown command "valdate", did you mean "validate"?'],
    ['Run', 'unknown command "Run", did you mean "run"?'],
    ['run gateway.yaml', "unexpected argument 'gateway.yaml', name the file with -c gateway.yaml"],
    ['doctor --confg x.yaml', 'unknown option \'--confg\', did you mean "--config"?'],
    ['dev', '--to is missing: name your backend, such as --to http://127.0.0.1:3000'],
    ['dev --to http://127.0.0.1:3000 --path api', '--path must start with "/"'],
    ['dev --to localhost:3000', '--to '],
    ['dev --to http://127.0.0.1:8080', 'in a circle (correct the url, or set another --port)'],
    ['echo --port http', '--port must be 0 to 65535, not "http"'],
    ['explain get /x', 'there is no method "get", did you mean "GET"?'],
    ['explain /x GET', 'there is no method "/x", write METHOD first, such as GET'],
    ['sandbox --prot 1', 'unknown option \'--prot\', did you mean "--port"?']
  ] as const) {
    const { status, stdout, stderr } = await wxgate(line.split(' '), { cwd: folder })
    t.equal(status, 2, line)
    t.equal(stdout, '')
    t.ok(stderr.includes(said), stderr)
    t.match(stderr, 'Usage: wxgate')
  }
  t.match(await wxgate(['--help']), { status: 0, stdout: /^Usage: wxgate COMMAND/ })
  t.match(await wxgate([]), { status: 2, stderr: /^Usage: wxgate COMMAND/ })
})

test('init writes files that are valid once they are filled in, and overwrites nothing', async (t) => {
  const folder = temporaryFolder(t)
  t.match(await wxgate(['init'], { cwd: folder }), {
    status: 0,
    stdout: /gateway\.yaml: written\n\.env\.example: written/
  })
  const [yaml, example] = ['gateway.yaml', '.env.example'].map((name) => readFileSync(join(folder, name), 'utf8'))
  const names = [...(example ?? '').matchAll(/^(\w+)=/gm)].map(([, name = '']) => name)
  const needed = [...(yaml ?? '').matchAll(/^(?! *#).*\$\{(\w+)\}/gm)].map(([, name = '']) => name)
  for (const name of needed) t.ok(names.includes(name), `${name} is in .env.example`)
  const env = { WXGATE_SECRET: SECRET, WECHAT_APPID: 'wx1234567890abcdef', WECHAT_APPSECRET: 'sandbox' }
  const load = (changed: string) =>
    loadConfig({ file: 'gateway.yaml', text: changed, env, production: false, allow: new Set() })
  const loaded = load(yaml ?? '')
  t.same(loaded.ok ? loaded.warnings : loaded.problems.map(formatProblem), [])
  // Commented-out parts are valid too.
  const full = load(
    (yaml ?? '')
      .replaceAll(/^( *)# (?=( *(trustedProxies|tokens|- |methods|upstream: b|auth)))/gm, '$1')
      .replace(/\$\{BACKEND_SERVICE_TOKEN\}/, 'a-token-of-sixteen-characters')
  )
  t.same(full.ok ? [] : full.problems.map(formatProblem), [])

  writeFileSync(join(folder, 'gateway.yaml'), 'mine')
  t.match(await wxgate(['init'], { cwd: folder }), { status: 0, stdout: /gateway\.yaml: exists and is left as it is/ })
  t.equal(readFileSync(join(folder, 'gateway.yaml'), 'utf8'), 'mine')
})

test('every line of the log is JSON, warnings of the configuration included, at the start and at a reload', async (t) => {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const { file } = writeConfig(t, {
    ...defaultConfig(upstream.url),
    server: { host: '127.0.0.1', port, drain: { delay: '1ms', timeout: '1s' } },
    service: { host: '0.0.0.0', port: servicePort }
  })
  const gateway = startProcess(t, ['run', '-c', file])
  t.equal(await untilStatus(`http://127.0.0.1:${port}/readyz`, 200), 200, gateway.output())
  const warnings = () => gateway.output().split('"the configuration has a warning"').length - 1
  await until(() => warnings() > 0)
  const before = warnings()
  gateway.child.kill('SIGHUP')
  await until(() => warnings() === 2 * before)
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
  const lines = gateway.output().trim().split('\n')
  for (const line of lines) t.doesNotThrow(() => JSON.parse(line), line)
  t.match(
    lines.find((line) => line.includes('the sandbox replaces WeChat')),
    '"level":40'
  )
  t.match(
    lines.find((line) => line.includes('has a warning')),
    'service.host'
  )
})

test('SIGHUP keeps the logins of a demo with a generated secret and a store in memory', async (t) => {
  const [port, servicePort, ordersPort] = [await freePort(), await freePort(), await freePort()]
  const demo = startProcess(t, ['demo'], {
    WXGATE_HOST: '127.0.0.1',
    WXGATE_PORT: String(port),
    WXGATE_SERVICE_PORT: String(servicePort),
    ORDERS_PORT: String(ordersPort),
    ORDERS_DB: join(temporaryFolder(t), 'orders.db'),
    WXGATE_STORE: 'memory:'
  })
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, demo.output())
  const login = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"code":"sandbox-alice"}'
  })
  const { access_token: token } = (await login.json()) as { access_token: string }
  const orders = async () =>
    (await fetch(`${url}/api/orders`, { headers: { authorization: `Bearer ${token}`, connection: 'close' } })).status
  t.equal(await orders(), 200)
  demo.child.kill('SIGHUP')
  await until(() => demo.output().includes('the configuration was reloaded'))
  t.equal(await orders(), 200)
  demo.child.kill('SIGTERM')
  t.equal(await demo.exited, 0)
  t.notMatch(demo.output(), 'draining', 'no request was running, so it ended at once')
})

test('a port in use names the variable that fills the port', async (t) => {
  const upstream = await startUpstream(t)
  const { file } = writeConfig(t, {})
  const config = { ...defaultConfig('http://127.0.0.1:9'), server: { host: '127.0.0.1' }, service: { port: 0 } }
  const lines = Object.entries(config).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  const variable = `$\{MY_PORT:-1}`
  writeFileSync(
    file,
    lines.join('\n').replace('server: {"host":"127.0.0.1"}', `server:\n  host: 127.0.0.1\n  port: ${variable}`)
  )
  const taken = String(new URL(upstream.url).port)
  const gateway = startProcess(t, ['run', '-c', file], { MY_PORT: taken })
  t.equal(await gateway.exited, 1)
  t.ok(
    gateway
      .output()
      .includes(`127.0.0.1:${taken} is in use. Stop what listens there, or set MY_PORT (server.port in ${file}).`),
    gateway.output()
  )
})
