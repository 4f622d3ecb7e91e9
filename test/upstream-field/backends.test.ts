/** Application servers of other languages behind the gateway. */
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { ROOT } from '../support/markdown.ts'
import { freePort } from '../support/process.ts'
import { findProgram, startProgram } from '../support/programs.ts'
import { createFolder, startNginx } from '../support/proxies.ts'
import { openClient } from '../support/raw-client.ts'

const LARGE = Buffer.alloc(2_000_000, Buffer.from(Array.from({ length: 251 }, (_, byte) => byte)))
const STREAMED = LARGE.subarray(0, 2_000 * 251)
const sha256 = (bytes: Buffer | ArrayBuffer) =>
  createHash('sha256')
    .update(Buffer.from(bytes as ArrayBuffer))
    .digest('hex')

/** Null where the program is not installed; otherwise the URL. */
async function startGunicorn(t: Test, ...args: string[]): Promise<string | null> {
  const file = findProgram(t, 'gunicorn')
  if (!file) return null
  const [folder, port] = [createFolder(t), await freePort()]
  copyFileSync(join(ROOT, 'test/support/fixtures/backends/app.py'), join(folder, 'app.py'))
  const fixed = ['--bind', `127.0.0.1:${port}`, '--graceful-timeout', '1', '--worker-tmp-dir', folder, 'app:app']
  await startProgram(t, file, [...args, ...fixed], port, folder)
  return `http://127.0.0.1:${port}`
}

async function startPhp(t: Test): Promise<string | null> {
  const file = findProgram(t, 'php')
  if (!file) return null
  const port = await freePort()
  const router = join(ROOT, 'test/support/fixtures/backends/router.php')
  await startProgram(t, file, ['-S', `127.0.0.1:${port}`, router], port, createFolder(t))
  return `http://127.0.0.1:${port}`
}

/** Every way in which a body can travel, and the answers that have none. */
async function expectService(t: Test, gateway: TestGateway): Promise<void> {
  const { access_token: token } = await gateway.login('alice')
  const hello = await gateway.call('/api/hello', { token })
  t.equal(hello.status, 200)
  t.match(await hello.text(), /^hello o.+/, 'the identity arrives')
  const fresh = await gateway.call('/public/hello', { headers: { 'if-none-match': '"v1"' } })
  t.equal(fresh.status, 304)
  t.equal(await fresh.text(), '')
  const bodies: readonly (readonly [string, string | Buffer | ReadableStream])[] = [
    ['{"small":true}', '{"small":true}'],
    ['', ''],
    ['with a length', LARGE],
    ['chunked', new Blob([LARGE]).stream()]
  ]
  for (const [name, body] of bodies) {
    const response = await gateway.call('/public/digest', { method: 'POST', body, duplex: 'half' } as RequestInit)
    t.equal(response.status, 200, name)
    t.equal(await response.text(), sha256(typeof body === 'string' ? Buffer.from(body) : LARGE), name)
  }
  t.equal(sha256(await (await gateway.call('/public/large')).arrayBuffer()), sha256(LARGE))
  t.equal(sha256(await (await gateway.call('/public/stream')).arrayBuffer()), sha256(STREAMED))
  const client = await openClient(t, gateway.port)
  for (const path of ['hello', 'large', 'stream', 'missing']) {
    client.send(`HEAD /public/${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.equal((await client.response('HEAD')).status, path === 'missing' ? 404 : 200, `HEAD ${path}`)
    client.send('GET /public/hello HTTP/1.1\r\nHost: a\r\nIf-None-Match: "v1"\r\n\r\n')
    t.equal((await client.response()).status, 304)
    client.send('GET /public/hello HTTP/1.1\r\nHost: a\r\n\r\n')
    t.match(await client.response(), { status: 200, body: 'hello ' }, 'the connection is in step')
  }
  client.close()
}

async function countGets(gateway: TestGateway, total: number, path = '/public/hello'): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const lane = async () => {
    for (let count = 0; count < total / 8; count++) {
      const response = await gateway.call(path)
      await response.arrayBuffer()
      counts[response.status] = (counts[response.status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 8 }, lane))
  return counts
}

const GUNICORNS: Readonly<Record<string, readonly string[]>> = {
  sync: ['--worker-class', 'sync', '--workers', '2', '--max-requests', '40'],
  gthread: [
    '--worker-class',
    'gthread',
    '--workers',
    '2',
    '--threads',
    '8',
    '--keep-alive',
    '60',
    '--max-requests',
    '40'
  ]
}

for (const [name, args] of Object.entries(GUNICORNS)) {
  test(`gunicorn with ${name} workers: bodies of every kind arrive, and recycled workers lose no GET`, async (t) => {
    const url = await startGunicorn(t, ...args, '--max-requests-jitter', '5')
    if (url === null) return
    const gateway = await buildTestGateway(t, url)
    await expectService(t, gateway)
    t.same(await countGets(gateway, 160), { 200: 160 })
  })
}

test('PHP: bodies of every kind arrive from a server that ends each connection', async (t) => {
  const url = await startPhp(t)
  if (url === null) return
  const gateway = await buildTestGateway(t, url)
  await expectService(t, gateway)
  t.same(await countGets(gateway, 80), { 200: 80 })
})

test('nginx: files, ranges and conditional requests arrive, and a limit of requests per connection loses none', async (t) => {
  const [folder, port] = [createFolder(t), await freePort()]
  writeFileSync(join(folder, 'large'), LARGE)
  // A worker of nginx is another user.
  chmodSync(folder, 0o755)
  const config = `events {}
http {
  server {
    listen 127.0.0.1:${port}; keepalive_requests 20;
    location /public { alias ${folder}; }
  }
}
`
  if (!(await startNginx(t, config, port))) return
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`)
  const whole = await gateway.call('/public/large')
  t.equal(sha256(await whole.arrayBuffer()), sha256(LARGE))
  const part = await gateway.call('/public/large', { headers: { range: 'bytes=1000000-1999999' } })
  t.equal(part.status, 206)
  t.equal(part.headers.get('content-range'), 'bytes 1000000-1999999/2000000')
  t.equal(sha256(await part.arrayBuffer()), sha256(LARGE.subarray(1_000_000, 2_000_000)))
  const etag = whole.headers.get('etag') ?? ''
  t.same(await gateway.call('/public/large', { headers: { 'if-none-match': etag } }).then((res) => res.status), 304)
  const head = await gateway.call('/public/large', { method: 'HEAD' })
  t.equal(head.headers.get('content-length'), '2000000')
  t.same(await countGets(gateway, 160, '/public/missing'), { 404: 160 })
})
