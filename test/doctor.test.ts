/** `wxgate doctor`: its findings about the systems that a configuration names, and its advice. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Finding } from '../src/cli/doctor/finding.ts'
import { checkMerchants } from '../src/cli/doctor/merchants.ts'
import { checkOtlp } from '../src/cli/doctor/otlp.ts'
import { checkTargets } from '../src/cli/doctor/targets.ts'
import { checkWeChat } from '../src/cli/doctor/wechat.ts'
import { run } from '../src/cli/doctor.ts'
import { systemClock } from '../src/clock.ts'
import { chainFaults } from '../src/crypto/certificate-chain.ts'
import type { Fault } from '../src/sandbox/faults.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { hasOpenssl } from './support/certificates.ts'
import { APP_SECRET, APPID, defaultConfig, OTHER_APPID } from './support/gateway.ts'
import { API_V3_KEY, generateRsa, MCHID, SERIAL } from './support/pay.ts'
import { freePort, startProcess, untilStatus, writeConfig } from './support/process.ts'
import { startUpstream } from './support/upstream.ts'

async function doctor(file: string): Promise<{ status: number; lines: string[]; stderr: string }> {
  let [stdout, stderr] = ['', '']
  const status = await run(['-c', file], {
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    env: {},
    cwd: '/'
  })
  return { status, lines: stdout.trim().split('\n'), stderr }
}

async function startSandbox(t: Test) {
  const sandbox = createSandbox({ clock: systemClock, apps: [{ appid: APPID, secret: APP_SECRET }] })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  return { sandbox, url }
}

async function fileFor(t: Test, upstream: string, changes: Record<string, unknown> = {}) {
  const [port, servicePort] = [await freePort(), await freePort()]
  return writeConfig(t, {
    ...defaultConfig(upstream),
    upstreams: { app: { targets: [{ url: upstream }], timeouts: { connect: '30s' } } },
    server: { host: '127.0.0.1', port },
    service: { host: '127.0.0.1', port: servicePort },
    ...changes
  })
}

test('a configuration that fits its surroundings is fine, and nothing is created or changed', async (t) => {
  const { url } = await startSandbox(t)
  const upstream = await startUpstream(t)
  const { folder, file } = await fileFor(t, upstream.url, {
    wechat: { apiBase: url, timeout: '30s' },
    store: 'sqlite:./data/wxgate.db'
  })
  const { status, lines, stderr } = await doctor(file)
  t.equal(stderr, '')
  t.same(
    lines.filter((line) => !line.startsWith('ok ')),
    []
  )
  t.equal(status, 0)
  for (const subject of ['app shop', 'clock', 'store', 'upstream app', 'server 127.0.0.1', 'service 127.0.0.1']) {
    t.ok(
      lines.some((line) => line.includes(` ${subject}`)),
      subject
    )
  }
  t.same(readdirSync(folder), ['gateway.yaml'])
  t.equal(upstream.seen.length, 0, 'a target without a health path gets a connection and no request')
})

test('each fault fails in its own line, with the next step', async (t) => {
  const { url } = await startSandbox(t)
  const taken = createTcpServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as AddressInfo
  const { file } = await fileFor(t, `http://127.0.0.1:${await freePort()}`, {
    wechat: { apiBase: url, timeout: '30s' },
    apps: [{ appid: APPID, name: 'shop', secret: 'not-the-secret-of-this-app' }],
    store: `redis://127.0.0.1:${await freePort()}`,
    server: { host: '127.0.0.1', port }
  })
  const { status, lines } = await doctor(file)
  t.equal(status, 1)
  const failed = lines.filter((line) => line.startsWith('FAILED '))
  for (const [subject, message, advice] of [
    ['app shop', '40125', 'compare appid and AppSecret'],
    ['store', 'cannot be used', 'check address, password'],
    ['upstream app', 'ECONNREFUSED', 'start the backend'],
    [`server 127.0.0.1:${port}`, 'in use by another program', 'stop it, or change server.port']
  ] as const) {
    const line = failed.find((text) => text.includes(` ${subject}`)) ?? ''
    t.match(line, message, subject)
    t.match(line, `To do: ${advice}`, subject)
  }
  t.equal(failed.length, 4)
  t.notMatch(lines.join('\n'), 'not-the-secret', 'no secret is printed')
})

test('a collector takes an empty export, and losses of the running gateway are a warning', async (t) => {
  const answer = { status: 200 }
  const collector = await startUpstream(t, (_req, res) => res.writeHead(answer.status).end('{}'))
  const lost =
    'wxgate_otlp_items_total{signal="traces",result="failed"} 7\nwxgate_otlp_items_total{signal="logs",result="full"} 5\n'
  const gateway = await startUpstream(t, (_req, res) => {
    res.end(`wxgate_otlp_items_total{signal="traces",result="exported"} 99\n${lost}`)
  })
  const nothing = `http://127.0.0.1:${await freePort()}`
  const check = (endpoint = collector.url, metricsUrl = nothing) =>
    checkOtlp({ otlp: { endpoint, headers: { Authorization: 'Bearer canary-otlp' } }, metricsUrl })
  t.match(await check(), [{ status: 'ok', subject: 'telemetry.otlp' }])
  t.match(collector.seen, [
    { url: '/v1/traces', headers: { authorization: 'Bearer canary-otlp' }, body: '{"resourceSpans":[]}' }
  ])
  t.match(await check(collector.url, `${gateway.url}/metrics`), [
    { status: 'ok' },
    { status: 'warning', message: /lost 12 spans/, advice: /otlp_failed/ }
  ])
  t.match(await check(nothing), [{ status: 'failed', message: /ECONNREFUSED/ }])
  for (const [status, advice] of [
    [401, /headers/],
    [404, /path/],
    [503, /log of the collector/]
  ] as const) {
    answer.status = status
    const [finding] = await check()
    t.match(finding, { status: 'failed', message: String(status), advice })
    t.notMatch(JSON.stringify(finding), /canary/)
  }
  t.same(await checkOtlp({ otlp: null, metricsUrl: gateway.url }), [])
})

test('the keys of a merchant are checked by one signed call of the pay API', async (t) => {
  const sandbox = createSandbox({ clock: systemClock })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  const keys = generateRsa()
  const registered = await fetch(`${url}/sandbox/pay/merchants`, {
    method: 'POST',
    body: JSON.stringify({ mchid: MCHID, serial_no: SERIAL, public_key: keys.publicKey, api_v3_key: API_V3_KEY })
  })
  t.equal(registered.status, 201)
  const away = `http://127.0.0.1:${await freePort()}`
  const check = async (changes: object, payBase = url, now = Date.now, payFallbackBase: string | null = null) => {
    const pay = {
      ...{ mchId: MCHID, serialNo: SERIAL, privateKey: keys.privateKey, apiV3Key: API_V3_KEY, apiV2Key: null },
      ...{ platformKeys: [], upstream: 'app', path: '/', retry: { maxAge: 1, backlog: 1, backlogBytes: 1 }, ...changes }
    }
    const wechat = { payBase, payFallbackBase, proxy: null, timeout: 30_000 }
    const apps = [
      { appId: APPID, name: 'shop', pay },
      { appId: OTHER_APPID, name: null, pay: null }
    ]
    return checkMerchants({ wechat, apps, clock: { now } })
  }
  const subject = `merchant ${MCHID} of app shop`
  t.match(await check({}), [
    { status: 'ok', subject, message: /verified; platform certificates until \d{4}-\d\d-\d\d$/ }
  ])
  t.match(await check({}, 'sandbox'), [{ status: 'ok', message: /not checked/ }])
  t.match(await check({}, away, Date.now, url), [{ status: 'ok', message: /verified/ }], 'by the fallback')
  const { id: serial, key } = sandbox.state.pay.platform.publicKey()
  const own = { serial, publicKey: String(key.export({ type: 'spki', format: 'pem' })) }
  t.match(await check({ platformKeys: [own] }), [{ status: 'ok', message: /its answer is verified$/ }])
  const other = { serial, publicKey: generateRsa().publicKey }
  const rejected: readonly (readonly [Promise<readonly Finding[]>, RegExp, RegExp])[] = [
    [check({ serialNo: 'ABCDEF0123456789' }), /SIGN_ERROR/, /serialNo and privateKey belong together/],
    [check({ privateKey: generateRsa().privateKey }), /SIGN_ERROR/, /compare mchid/],
    [check({ mchId: '1900000009' }), /SIGN_ERROR/, /compare mchid/],
    [check({ apiV3Key: 'anotherApiV3Key0123456789abcdefg' }), /do not decrypt/, /compare apiV3Key/],
    [check({ platformKeys: [other] }), /a key that platformKeys does not hold/, /copy key and id again/],
    [check({}, url, () => Date.now() - 3_600_000), /SIGN_ERROR/, /and the clock$/],
    [check({}, away), /gives no valid answer \(ECONNREFUSED/, /DNS, firewall/]
  ]
  for (const [findings, message, advice] of rejected)
    t.match(await findings, [{ status: 'failed', message, advice }], String(message))
})

test('a refused address is named, with the list that it belongs to', async (t) => {
  const { sandbox, url } = await startSandbox(t)
  const app = { appId: APPID, name: null, secret: APP_SECRET, virtualPay: null, push: null, pay: null }
  const check = () =>
    checkWeChat({ apiBase: url, fallbackBase: null, proxy: null, timeout: 30_000, apps: [app], now: Date.now })
  t.match((await check())[0], { status: 'ok' })
  const next = (fault: Fault) =>
    sandbox.state.faults.add({ path: '/cgi-bin/stable_token', fault, appId: null, times: 1, skip: 0, after: false })
  next({ kind: 'errcode', errcode: 40164 })
  t.match((await check())[0], { status: 'failed', message: /40164/, advice: /IP allow list/ })
  next({ kind: 'html' })
  t.match((await check())[0], { status: 'failed', message: /no valid answer/ })
})

test("an app that WeChat refuses does not hide another's result, and answers come in the order of the file", async (t) => {
  const { url } = await startSandbox(t)
  const apps = [
    { appId: OTHER_APPID, name: 'unknown', secret: 'x', virtualPay: null, push: null, pay: null },
    { appId: APPID, name: 'shop', secret: APP_SECRET, virtualPay: null, push: null, pay: null }
  ]
  t.match(await checkWeChat({ apiBase: url, fallbackBase: null, proxy: null, timeout: 30_000, apps, now: Date.now }), [
    { status: 'failed', subject: 'app unknown' },
    { status: 'ok', subject: 'app shop' },
    { status: 'ok', subject: 'clock' }
  ])
})

test("a clock that differs from WeChat's fails, in both directions", async (t) => {
  const { url } = await startSandbox(t)
  const apps = [{ appId: APPID, name: null, secret: APP_SECRET, virtualPay: null, push: null, pay: null }]
  for (const [offsetMs, status] of [
    [0, 'ok'],
    [3_000, 'ok'],
    [60_000, 'failed'],
    [-60_000, 'failed']
  ] as const) {
    const findings = await checkWeChat({
      apiBase: url,
      fallbackBase: null,
      proxy: null,
      timeout: 30_000,
      apps,
      now: () => Date.now() + offsetMs
    })
    t.match(findings[1], { subject: 'clock', status }, String(offsetMs))
  }
})

test('a health path is requested, and a status other than success fails', async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/healthz' ? 204 : 500
    response.end()
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const tls = { ca: null, cert: null, key: null, serverName: null, insecureSkipVerify: false }
  const upstream = (path: string) => ({
    name: 'app',
    targets: [{ url }],
    timeouts: { connect: 30_000, response: 30_000 },
    tls,
    healthCheck: {
      path,
      host: null,
      headers: {},
      statuses: [{ from: 200, to: 399 }],
      interval: 5_000,
      timeout: 30_000,
      healthyAfter: 2,
      unhealthyAfter: 3
    }
  })
  t.match(await checkTargets([upstream('/healthz')], Date.now()), [{ status: 'ok', message: '/healthz answers 204' }])
  t.match(await checkTargets([upstream('/broken')], Date.now()), [{ status: 'failed', message: '/broken answers 500' }])
})

test('a port of a running gateway is fine', async (t) => {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const { file } = await fileFor(t, upstream.url, {
    server: { host: '127.0.0.1', port, drain: { delay: '1ms', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort }
  })
  startProcess(t, ['run', '-c', file])
  t.equal(await untilStatus(`http://127.0.0.1:${port}/readyz`, 200), 200)
  const { status, lines } = await doctor(file)
  t.equal(status, 0)
  t.equal(lines.filter((line) => line.includes('a gateway answers here')).length, 2)
})

test('certificate chains: an incomplete one fails, a near end is a warning', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const { cert, certFile } = certificates.make('self', 'DNS:a.example')
  const now = Date.now()
  t.same(
    chainFaults(cert, now).map(({ kind }) => kind),
    ['expiring', 'selfSigned'],
    'openssl made it for two days'
  )
  t.match(chainFaults(cert, now + 3 * 86_400_000), [{ kind: 'expired' }, { kind: 'selfSigned' }])
  t.match(chainFaults(cert, now - 3 * 86_400_000), [{ kind: 'notYetValid' }, { kind: 'selfSigned' }])
  t.same(chainFaults('no certificate', now), [{ kind: 'unreadable' }])

  const chain = makeChain(join(certFile, '..'))
  const later = Date.now() + 60_000
  t.same(chainFaults(`${chain.leaf}${chain.intermediate}${chain.root}`, later), [], 'with its own root')
  t.same(chainFaults(chain.leaf, later), [{ kind: 'incomplete', issuer: 'Intermediate' }])
  t.same(chainFaults(`${chain.leaf}${chain.root}`, later), [{ kind: 'incomplete', issuer: 'Intermediate' }])
  t.same(chainFaults(`${chain.leaf}${chain.intermediate}`, later), [{ kind: 'incomplete', issuer: 'Root' }])
})

/** A leaf, its issuer and the root of that, each for a year. */
function makeChain(folder: string): { leaf: string; intermediate: string; root: string } {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-days', '365', '-subj', '/CN=Root', '-keyout', 'root.key', '-out', 'root.crt')
  writeFileSync(join(folder, 'ca.ext'), 'basicConstraints=CA:TRUE\n')
  const issue = (name: string, subject: string, issuer: string, ...extra: string[]) => {
    openssl('req', ...key, '-subj', `/CN=${subject}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    const signer = ['-CA', `${issuer}.crt`, '-CAkey', `${issuer}.key`, '-CAcreateserial']
    openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-days', '365', ...extra, '-out', `${name}.crt`)
    return execFileSync('cat', [join(folder, `${name}.crt`)], { encoding: 'utf8' })
  }
  const intermediate = issue('intermediate', 'Intermediate', 'root', '-extfile', 'ca.ext')
  const leaf = issue('leaf', 'a.example', 'intermediate')
  return { leaf, intermediate, root: execFileSync('cat', [join(folder, 'root.crt')], { encoding: 'utf8' }) }
}

test('a file that is not valid is exit 2 and no check runs; a missing file is named with its path', async (t) => {
  const { folder, file } = writeConfig(t, { version: 1, routes: [] })
  t.match(await doctor(file), { status: 2, lines: [''], stderr: /gateway\.yaml:1/ })
  const missing = join(folder, 'none.yaml')
  t.notOk(existsSync(missing))
  t.match(await doctor(missing), { status: 2, stderr: missing })
})
