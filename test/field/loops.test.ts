/** A route whose target leads back to the gateway. */
import { type Test, test } from 'tap'
import { type ChaosProxy, startChaosProxy } from '../support/chaos-proxy.ts'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { get, openClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

/** A port whose destination is set later: a gateway cannot know its own port before it listens. */
async function startRelay(t: Test): Promise<ChaosProxy & { readonly url: string }> {
  const relay = await startChaosProxy(t, 0)
  return Object.assign(relay, { url: `http://127.0.0.1:${relay.port}` })
}

/** A gateway that is its own upstream. */
async function startLoop(t: Test): Promise<TestGateway> {
  const relay = await startRelay(t)
  const gateway = await buildTestGateway(t, relay.url)
  relay.targetPort = gateway.port
  return gateway
}

const requests = ({ lines }: TestGateway) => lines.filter((line) => line.includes('"msg":"request"'))

test('a request that comes round is refused with 508 loop_detected in its second round', async (t) => {
  const gateway = await startLoop(t)
  const response = await gateway.call('/public/x')
  t.equal(response.status, 508)
  t.match(await response.json(), { status: 508, code: 'loop_detected', action: 'none' })
  t.equal(requests(gateway).length, 2)
  t.match(requests(gateway)[0], '"granted":false,"reason":"loop_detected"')
})

test('a WebSocket handshake that comes round is refused with 508', async (t) => {
  const gateway = await startLoop(t)
  const client = await openClient(t, gateway.port)
  client.send(get('/public/ws', undefined, HANDSHAKE))
  t.equal((await client.response()).status, 508)
  await client.closed
  await until(() => requests(gateway).length === 2)
})

test('a loop over a second gateway is found too', async (t) => {
  const relay = await startRelay(t)
  const inner = await buildTestGateway(t, relay.url, {
    config: { secrets: ['another-secret-of-more-than-32-characters'] }
  })
  const outer = await buildTestGateway(t, inner.url)
  relay.targetPort = outer.port
  t.equal((await outer.call('/public/x')).status, 508)
  t.equal(requests(outer).length, 2)
  t.equal(requests(inner).length, 1)
})

test('gateways in a row pass a request on, with the same secrets or with others, and keep CDN-Loop', async (t) => {
  const backend = await startUpstream(t)
  for (const secret of ['test-secret-of-more-than-32-characters', 'another-secret-of-more-than-32-characters']) {
    const inner = await buildTestGateway(t, backend.url, { config: { secrets: [secret] } })
    const outer = await buildTestGateway(t, inner.url)
    t.equal((await outer.call('/public/x', { headers: { 'CDN-Loop': 'a-cdn' } })).status, 200)
    t.match(backend.seen.at(-1)?.headers['cdn-loop'], /^a-cdn, wxgate-[\w-]{16}, wxgate-[\w-]{16}$/)
  }
})

test('a client that sends the mark of the gateway refuses itself and no other client', async (t) => {
  const backend = await startUpstream(t)
  const gateway = await buildTestGateway(t, backend.url)
  await gateway.call('/public/x')
  const mark = String(backend.seen[0]?.headers['cdn-loop'])
  t.equal((await gateway.call('/public/x', { headers: { 'CDN-Loop': mark } })).status, 508)
  t.equal((await gateway.call('/public/x')).status, 200)
  const nominated = 'Connection: CDN-Loop\r\nCDN-Loop: x\r\n'
  await gateway.raw(get('/public/x', undefined, nominated))
  t.match(backend.seen.at(-1)?.headers['cdn-loop'], mark, 'Connection does not remove it')
})
