/** A disturbed network between gateway and upstream: every request gets its answer or its end. */
import { createHash, randomBytes } from 'node:crypto'
import { type Test, test } from 'tap'
import { type ChaosProxy, type Disturbance, startChaosProxy } from '../support/chaos-proxy.ts'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'
import { openClient } from '../support/raw-client.ts'
import { PATIENCE, until } from '../support/until.ts'
import { handshake } from '../support/websocket.ts'

const BYTES = randomBytes(4_000)
const sha256 = (bytes: Buffer | ArrayBuffer) =>
  createHash('sha256')
    .update(Buffer.from(bytes as ArrayBuffer))
    .digest('hex')

interface Field {
  readonly gateway: TestGateway
  readonly proxy: ChaosProxy
}

/** `/length` and `/chunked` answer with BYTES, and a POST with its own body. */
const startBackend = (t: Test) =>
  startServer(t, (req, res) => {
    if (req.method === 'POST') req.pipe(res)
    else if (req.url?.endsWith('/chunked')) {
      for (let at = 0; at < BYTES.length; at += 1_000) res.write(BYTES.subarray(at, at + 1_000))
      res.end()
    } else res.writeHead(200, { 'content-length': BYTES.length }).end(BYTES)
  })

async function startField(t: Test, timeouts: Record<string, string> = {}): Promise<Field> {
  const backend = await startBackend(t)
  const proxy = await startChaosProxy(t, Number(new URL(backend).port))
  const url = `http://127.0.0.1:${proxy.port}`
  const upstream = {
    targets: [{ url }],
    timeouts: { connect: '500ms', response: '500ms', idle: '500ms', ...timeouts },
    retries: { attempts: 0 }
  }
  const gateway = await buildTestGateway(t, url, { config: { upstreams: { app: upstream } } })
  return { gateway, proxy }
}

const ask = ({ gateway }: Field, path: string, init: RequestInit = {}) =>
  gateway.call(path, { ...init, signal: AbortSignal.timeout(PATIENCE) })

/** No request counts as under way, and the pool serves many at once. */
async function expectUsable(t: Test, field: Field, after: string): Promise<void> {
  const { gateway, proxy } = field
  proxy.mode = { kind: 'none' }
  await until(() => gateway.gateway.active === 0)
  const askAll = () =>
    Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const response = await ask(field, index % 2 === 0 ? '/public/length' : '/public/chunked')
        const body = await response.arrayBuffer()
        return response.status === 200 ? sha256(body) : String(response.status)
      })
    )
  let answers = new Set<string>()
  // The timeouts are short: on a busy machine they end an ordinary request too.
  await until(async () => {
    answers = new Set(await askAll())
    return !answers.has('504')
  })
  t.same([...answers], [sha256(BYTES)], `usable after: ${after}`)
}

async function expectProblem(t: Test, field: Field, after: string, status: number, code: string): Promise<void> {
  const requests: readonly (readonly [string, RequestInit])[] = [
    ['/public/length', {}],
    ['/public/length', { method: 'HEAD' }],
    ['/public/echo', { method: 'POST', body: 'small' }],
    ['/public/echo', { method: 'POST', body: BYTES }]
  ]
  await Promise.all(
    requests.map(async ([path, init]) => {
      const response = await ask(field, path, init)
      t.equal(response.status, status, `${init.method ?? 'GET'} ${after}`)
      t.ok(Number(response.headers.get('retry-after')) >= 1)
      if (init.method !== 'HEAD') t.match(await response.json(), { code, action: 'retry' })
    })
  )
  const client = await openClient(t, field.gateway.port)
  client.send(handshake('/public/socket'))
  const answer = await client.response()
  t.equal(answer.status, status, `WebSocket ${after}`)
  t.equal(JSON.parse(answer.body).code, code)
  client.close()
}

const refusals: Readonly<Record<string, readonly [Disturbance, number, string]>> = {
  'black hole': [{ kind: 'blackHole' }, 504, 'upstream_timeout'],
  'latency above the deadline': [{ kind: 'latency', ms: 5_000 }, 504, 'upstream_timeout'],
  'silence before the first byte': [{ kind: 'stall', afterBytes: 0 }, 504, 'upstream_timeout'],
  'silence in the head': [{ kind: 'stall', afterBytes: 20 }, 504, 'upstream_timeout'],
  'reset before the first byte': [{ kind: 'reset', afterBytes: 0 }, 502, 'upstream_unreachable'],
  'reset in the head': [{ kind: 'reset', afterBytes: 20 }, 502, 'upstream_unreachable'],
  'half open before the first byte': [{ kind: 'halfOpen', afterBytes: 0 }, 502, 'upstream_unreachable'],
  'half open in the head': [{ kind: 'halfOpen', afterBytes: 20 }, 502, 'upstream_unreachable']
}

test('a connection that fails before the whole head is 502 or 504 for every kind of request, and the pool stays usable', async (t) => {
  const field = await startField(t)
  for (const [name, [mode, status, code]] of Object.entries(refusals)) {
    field.proxy.mode = mode
    await expectProblem(t, field, name, status, code)
    await expectUsable(t, field, name)
  }
  await field.proxy.refuse()
  await expectProblem(t, field, 'refused connection', 502, 'upstream_unreachable')
  await field.proxy.accept()
  await expectUsable(t, field, 'refused connection')
})

test('bytes that travel alone or late make whole messages, byte for byte', async (t) => {
  const field = await startField(t, { response: '10m', idle: '10m' })
  const modes: readonly Disturbance[] = [{ kind: 'slices' }, { kind: 'latency', ms: 30 }]
  for (const mode of modes) {
    field.proxy.mode = mode
    const requests: readonly (readonly [string, RequestInit])[] = [
      ['/public/length', {}],
      ['/public/chunked', {}],
      ['/public/echo', { method: 'POST', body: BYTES }],
      ['/public/echo', { method: 'POST', body: new Blob([BYTES]).stream(), duplex: 'half' } as RequestInit]
    ]
    await Promise.all(
      requests.map(async ([path, init]) => {
        const response = await ask(field, path, init)
        t.equal(response.status, 200)
        t.equal(sha256(await response.arrayBuffer()), sha256(BYTES), `${path} with ${mode.kind}`)
      })
    )
    await expectUsable(t, field, mode.kind)
  }
})

test('a body that stops is cut for the client and logged, and never looks complete', async (t) => {
  const field = await startField(t)
  const modes: readonly Disturbance[] = [
    { kind: 'reset', afterBytes: 2_000 },
    { kind: 'halfOpen', afterBytes: 2_000 },
    { kind: 'stall', afterBytes: 2_000 }
  ]
  for (const mode of modes) {
    field.proxy.mode = mode
    for (const path of ['/public/length', '/public/chunked']) {
      const name = `${path}/${mode.kind}`
      const response = await ask(field, `${path}?${mode.kind}`)
      t.equal(response.status, 200, name)
      await t.rejects(response.arrayBuffer(), { message: 'terminated' }, name)
    }
    await expectUsable(t, field, mode.kind)
  }
  const lines = field.gateway.lines.filter((line) => line.includes('upstream_truncated'))
  t.equal(lines.length, 6)
})

test('a kept connection that ended while it was idle is not used, and a silent one costs one request only', async (t) => {
  const field = await startField(t)
  const post = () => ask(field, '/public/echo', { method: 'POST', body: 'once' })
  t.equal((await post()).status, 200)
  field.proxy.finish()
  await until(() => field.proxy.open === 0)
  for (let count = 0; count < 5; count++) t.equal(await (await post()).text(), 'once')

  field.proxy.mode = { kind: 'blackHole' }
  t.equal((await post()).status, 504)
  field.proxy.mode = { kind: 'none' }
  for (let count = 0; count < 5; count++) t.equal(await (await post()).text(), 'once')
})

test('while one of two targets is disturbed no GET without an answer is lost', async (t) => {
  const backend = await startBackend(t)
  const proxy = await startChaosProxy(t, Number(new URL(backend).port))
  const targets = [{ url: backend }, { url: `http://127.0.0.1:${proxy.port}` }]
  const timeouts = { connect: '1s', response: '10m', idle: '10m' }
  // Half of many concurrent requests fail at once: more than the default budget repeats.
  const upstream = { targets, timeouts, retries: { budget: '100%' } }
  const gateway = await buildTestGateway(t, backend, { config: { upstreams: { app: upstream } } })
  const expectAll = async (name: string) => {
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const response = await gateway.call('/public/length')
        return `${response.status} ${sha256(await response.arrayBuffer())}`
      })
    )
    t.same([...new Set(statuses)], [`200 ${sha256(BYTES)}`], name)
  }
  const modes: readonly Disturbance[] = [
    { kind: 'reset', afterBytes: 0 },
    { kind: 'halfOpen', afterBytes: 0 }
  ]
  for (const mode of modes) {
    proxy.mode = mode
    await expectAll(`${mode.kind} after ${'afterBytes' in mode ? mode.afterBytes : 0} bytes`)
  }
  await proxy.refuse()
  await expectAll('refused connection')
  await proxy.accept()
  proxy.mode = { kind: 'none' }
  await expectAll('recovered')
})
