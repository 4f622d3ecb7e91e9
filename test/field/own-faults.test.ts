/** A throw of the gateway's own code is internal_error, logged with its stack: no backend is blamed. */
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { openClient } from '../support/raw-client.ts'
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
