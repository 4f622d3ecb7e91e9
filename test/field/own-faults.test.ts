/** A throw of the gateway's own code is internal_error, logged with its stack: no backend is
 *  blamed. */
import { lookup } from 'node:dns'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { ApiTokens } from '../../src/platforms/wechat/api-tokens.ts'
import { createEgress } from '../../src/platforms/wechat/egress.ts'
import { createTransport } from '../../src/platforms/wechat/transport.ts'
import { APPID, buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { openClient } from '../support/raw-client.ts'
import { quietLog } from '../support/store.ts'
import { startUpstream } from '../support/upstream.ts'
import { handshake, startSocketService } from '../support/websocket.ts'

function throwInjected(): never {
  throw new TypeError('an injected fault')
}

const faultsOf = ({ lines }: TestGateway) => lines.filter((line) => line.includes('throwInjected'))

test('a fault while a response is written costs that request alone', async (t) => {
  const upstream = await startUpstream(t, (req, res) => {
    res.write('first')
    if (req.url === '/public/short') res.end()
    else setTimeout(() => res.end('last'), 50)
  })
  const gateway = await buildTestGateway(t, upstream.url)
  const { lifecycle } = gateway.gateway.parts
  for (const path of ['/public/short', '/public/long']) {
    Object.defineProperty(lifecycle, 'isDraining', { get: throwInjected, configurable: true })
    const response = await gateway.call(path)
    Object.defineProperty(lifecycle, 'isDraining', { value: false, writable: true, configurable: true })
    t.match(await response.json(), { status: 500, code: 'internal_error', action: 'retry' }, path)
    t.equal((await gateway.call(path)).status, 200)
  }
  t.equal(faultsOf(gateway).length, 2)
  for (const line of faultsOf(gateway)) {
    t.match(JSON.parse(line), { level: 50, err: { type: 'TypeError', at: [/own-faults/, /exchange\.ts/] } })
    t.notMatch(line, /an injected fault/, 'a message could hold a credential')
  }
})

test('a fault between the answer to a handshake and the tunnel ends that connection alone', async (t) => {
  const service = await startSocketService(t)
  let isArmed = false
  const clock = {
    ...systemClock,
    monotonic() {
      if (isArmed && new Error().stack?.includes('#openTunnel')) {
        isArmed = false
        throwInjected()
      }
      return systemClock.monotonic()
    }
  }
  const gateway = await buildTestGateway(t, service.url, { clock })
  const { access_token: token } = await gateway.login('alice')
  const client = await openClient(t, gateway.port)
  isArmed = true
  client.send(handshake('/api/ws', token))
  await client.closed
  t.equal(isArmed, false)
  t.ok(faultsOf(gateway).length > 0)
  const next = await openClient(t, gateway.port)
  next.send(handshake('/api/ws', token))
  t.match(await next.head(), /^HTTP\/1\.1 101 /)
})

test('a fault while the answer of the login hook is read fails the login, and blames no service', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => void res.end('{}'))
  const hook = { upstream: 'app', path: '/hooks/login', timeout: '60s', onFailure: 'continue' }
  const clock = {
    ...systemClock,
    monotonic() {
      if (new Error().stack?.includes('JsonCall.onHead')) throwInjected()
      return systemClock.monotonic()
    }
  }
  const gateway = await buildTestGateway(t, upstream.url, { clock, config: { login: { hook } } })
  t.match(await gateway.login('alice'), { status: 500, code: 'internal_error', action: 'retry' })
  t.ok(faultsOf(gateway).length > 0)
  t.notOk(gateway.lines.some((line) => line.includes('login_hook_failed')))
})

test('a fault while an answer of WeChat is read stays a fault of the gateway', async (t) => {
  const { url } = await startUpstream(t, (_req, res) => void res.end('{}'))
  const sealed = { headers: {}, body: '{}', open: throwInjected }
  const warned: object[] = []
  const log = { ...quietLog(), warn: (fields: object) => void warned.push(fields) }
  const options = { apiBase: url, fallbackBase: null, proxy: null, timeout: 60_000, lookup, log }
  const apiTokens: ApiTokens = {
    get: async () => 'token',
    invalidate: async () => {},
    withAccessToken: (_app, call) => call('token', 0),
    state: () => ({ state: 'none', fetchedAt: null, expiresAt: null })
  }
  const egress = createEgress({ ...options, apiTokens, signer: { seal: () => sealed } })
  const transport = createTransport(options)
  t.teardown(() => Promise.all([egress.close(), transport.close()]))
  const app = { appId: APPID, secret: 'x' }
  const call = { method: 'POST', path: '/wxa/x', query: '', headers: [], body: null, requestId: 'r' }
  const caller = { isGone: false, whenGone() {} }
  await t.rejects(egress.forward(app, { ...call, caller }), TypeError)
  await t.rejects(
    transport.call({ method: 'POST', path: '/wxa/x', query: {}, sealed }, transport.deadline()),
    TypeError
  )
  t.same(warned, [])
})
