/** The access log tells an operator which target failed, and the client does not learn it. */
import { createServer } from 'node:net'
import { type Test, test } from 'tap'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { listen } from '../support/listen.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

async function lineOf({ lines }: TestGateway, path: string): Promise<Record<string, unknown>> {
  const isWanted = (line: string) => line.includes(`"path":"${path}"`)
  await until(() => lines.some(isWanted))
  return JSON.parse(lines.find(isWanted) ?? '{}')
}

/** A server that ends each connection at its first bytes. */
const startClosing = (t: Test) =>
  listen(
    t,
    createServer((socket) => socket.once('data', () => socket.destroy()))
  )
/** A server that never answers. */
const startSilent = (t: Test) =>
  listen(
    t,
    createServer((socket) => socket.resume().on('error', () => {}))
  )

function twoTargets(...ports: number[]) {
  const targets = ports.map((port) => ({ url: `http://127.0.0.1:${port}` }))
  return { config: { upstreams: { app: { targets, timeouts: { response: '300ms' } } } } }
}

test('a 502 is a warning that names upstream, target, tries and bytes', async (t) => {
  const ports = [await startClosing(t), await startClosing(t)]
  const gateway = await buildTestGateway(t, '', twoTargets(...ports))
  const response = await gateway.call('/public/lost')
  t.equal(response.status, 502)
  const body = await response.text()
  const line = await lineOf(gateway, '/public/lost')
  t.match(line, { level: 40, status: 502, upstream: 'app', tries: 2, bytes: body.length })
  t.match(line.target, /^127\.0\.0\.1:\d+$/)
  t.ok(ports.some((port) => line.target === `127.0.0.1:${port}`))
  for (const port of ports) t.notOk(body.includes(`:${port}`))
  t.notMatch(JSON.stringify([...response.headers]), '127.0.0.1')
})

test('a 504 is a warning that names the target', async (t) => {
  const port = await startSilent(t)
  const gateway = await buildTestGateway(t, '', twoTargets(port))
  t.equal((await gateway.call('/public/slow')).status, 504)
  t.match(await lineOf(gateway, '/public/slow'), {
    level: 40,
    status: 504,
    reason: /^upstream_timeout/,
    target: `127.0.0.1:${port}`,
    tries: 1
  })
})

test('a response that breaks off is a warning with the bytes that went out', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => {
    res.writeHead(200, { 'content-length': '100' })
    res.write('12345', () => setTimeout(() => res.destroy(), 50))
  })
  const gateway = await buildTestGateway(t, upstream.url)
  await (await gateway.call('/public/half')).text().catch(() => {})
  t.match(await lineOf(gateway, '/public/half'), {
    level: 40,
    status: 200,
    reason: 'upstream_truncated',
    target: `127.0.0.1:${upstream.port}`,
    bytes: 5
  })
})

test('a request that was served is info and names its target', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  await (await gateway.call('/public/fine')).text()
  const line = await lineOf(gateway, '/public/fine')
  const target = new URL(upstream.url).host
  t.match(line, { level: 30, status: 200, bytes: '{"ok":true}'.length, upstream: 'app', target, tries: 1 })
})

test('a refused request is info', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  await (await gateway.call('/api/x')).text()
  t.match(await lineOf(gateway, '/api/x'), { level: 30, status: 401 })
})
