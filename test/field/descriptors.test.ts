/** Few descriptors: clients get an answer, and health checks and the service listener go on. */
import { existsSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { t as tap, test } from 'tap'
import { descriptorLimit, divideDescriptors } from '../../src/http/connection-room.ts'
import { buildTestGateway } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { listen, type Teardown } from '../support/listen.ts'
import { get, openClient, type RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

/** A service that answers when it is told to. */
async function startSlow(t: Teardown): Promise<{ url: string; waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = []
  const server = createServer((_req, res) => void waiting.push(res))
  return { url: `http://127.0.0.1:${await listen(t, server)}`, waiting }
}

async function startCramped() {
  const slow = await startSlow(tap)
  return { slow, gateway: await startGatewayProcess(tap, slow.url, { files: 256 }) }
}

/** One gateway with 256 descriptors for two tests, from the first one on. */
let cramped: ReturnType<typeof startCramped> | undefined

test('with 256 descriptors 400 slow requests are served or answered with 503, and health checks go on', async (t) => {
  if (!existsSync('/proc/self/limits')) {
    t.comment('NOT TESTED: the limit is only known where there is /proc')
    return
  }
  cramped ??= startCramped()
  const { slow, gateway } = await cramped
  const { served } = divideDescriptors(256)
  const statuses: number[] = []
  const requests = Array.from({ length: 400 }, async () => {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/x'))
    // 0: the connection ended without an answer.
    statuses.push(
      await client.response().then(
        ({ status }) => status,
        () => 0
      )
    )
    client.close()
  })
  await until(() => slow.waiting.length + statuses.length === 400)
  t.ok(slow.waiting.length <= served && slow.waiting.length > served / 2, `${slow.waiting.length} under way`)
  t.same([...new Set(statuses)], [503])
  t.equal((await fetch(`http://127.0.0.1:${gateway.port}/readyz`)).status, 200)
  t.equal((await fetch(`http://127.0.0.1:${gateway.servicePort}/readyz`)).status, 200)
  for (const res of slow.waiting) res.end('ok')
  await Promise.all(requests)
  t.same([...new Set(statuses)].sort(), [200, 503])
  t.equal(statuses.filter((status) => status === 200).length, slow.waiting.length)
  t.match(gateway.output(), /"level":40.*client connections are refused/)
})

test('a client that is refused for want of room learns when to come back', async (t) => {
  if (!Number.isFinite(descriptorLimit())) return
  cramped ??= startCramped()
  const { gateway } = await cramped
  const { served } = divideDescriptors(256)
  const answers: Promise<{ client: RawClient; response: Awaited<ReturnType<RawClient['response']>> }>[] = []
  for (let count = 0; count < served + 20; count++) {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/x'))
    answers.push(client.response().then((response) => ({ client, response })))
  }
  const { client, response } = await Promise.race(answers)
  const { status, headers, body } = response
  t.equal(status, 503)
  t.match(JSON.parse(body), { code: 'overloaded', action: 'retry' })
  t.match(headers, { 'retry-after': '1', connection: 'close' })
  await client.closed
  // The others end with the test.
  for (const answer of answers) answer.catch(() => undefined)
})

test('the requests beyond connections.max wait, and those beyond the queue are refused with 503', async (t) => {
  const slow = await startSlow(t)
  const connections = { max: 2, queue: { max: 2, timeout: '60s' } }
  const upstreams = { app: { targets: [{ url: slow.url }], connections } }
  const gateway = await buildTestGateway(t, slow.url, { config: { upstreams } })
  const first = [gateway.call('/public/1'), gateway.call('/public/2')]
  await until(() => slow.waiting.length === 2)
  const rest = [3, 4, 5, 6].map((path) => gateway.call(`/public/${path}`))
  const refused = await Promise.race(rest)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { code: 'upstream_unavailable', action: 'retry' })
  t.equal(slow.waiting.length, 2)
  for (let count = 0; count < 4; count++) {
    await until(() => slow.waiting.length > count)
    slow.waiting[count]?.end('ok')
  }
  t.same((await Promise.all([...first, ...rest])).map(({ status }) => status).sort(), [200, 200, 200, 200, 503, 503])
})

test('a client that leaves the queue costs the upstream nothing', async (t) => {
  const slow = await startSlow(t)
  const upstreams = { app: { targets: [{ url: slow.url }], connections: { max: 1 } } }
  const gateway = await buildTestGateway(t, slow.url, { config: { upstreams } })
  const first = gateway.call('/public/1')
  await until(() => slow.waiting.length === 1)
  const client = await openClient(t, gateway.port)
  client.send(get('/public/2'))
  await until(() => gateway.gateway.active === 2)
  client.socket.destroy()
  await until(() => gateway.gateway.active === 1)
  slow.waiting[0]?.end('ok')
  t.equal((await first).status, 200)
  t.equal(slow.waiting.length, 1)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
})
