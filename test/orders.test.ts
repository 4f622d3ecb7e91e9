/** The sample business service, over real sockets. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Test, test } from 'tap'
import { createOrdersService } from '../examples/orders/server.ts'
import { exchange, openClient } from './support/raw-client.ts'

const ALICE = { 'x-openid': 'oAlice00000000000000000000_1' }
const BOB = { 'x-openid': 'oBob-0000000000000000000000' }

interface Started {
  readonly url: string
  readonly port: number
  readonly file: string
}

async function start(t: Test): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-orders-'))
  const file = join(folder, 'deep', 'orders.db')
  const service = createOrdersService({ file })
  const port = await service.listen(0)
  t.teardown(async () => {
    await service.close()
    rmSync(folder, { recursive: true })
  })
  return { url: `http://127.0.0.1:${port}`, port, file }
}

async function order(url: string, headers: Record<string, string>, body: string): Promise<Response> {
  return await fetch(`${url}/orders`, { method: 'POST', headers, body })
}

async function ordersOf(url: string, headers: Record<string, string>): Promise<string[]> {
  const response = await fetch(`${url}/orders`, { headers })
  const { orders } = (await response.json()) as { orders: { product_id: string }[] }
  return orders.map((entry) => entry.product_id)
}

const raw = async (port: number, bytes: string) => (await exchange(port, bytes)).text

test('each user sees only their own orders', async (t) => {
  const { url, file } = await start(t)
  const created = await order(url, ALICE, '{"product_id":"tea-250"}')
  t.equal(created.status, 201)
  const body = (await created.json()) as Record<string, unknown>
  t.match(body, { id: Number, product_id: 'tea-250', create_time: Number })
  t.notOk(JSON.stringify(body).includes('oAlice'), 'the client does not receive the openid')
  t.equal((await order(url, BOB, '{"product_id":"cup-01"}')).status, 201)
  t.equal((await order(url, ALICE, '{"product_id":"cup-01"}')).status, 201)

  t.strictSame(await ordersOf(url, ALICE), ['cup-01', 'tea-250'], 'newest first')
  t.strictSame(await ordersOf(url, BOB), ['cup-01'])
  t.strictSame(await ordersOf(url, { 'x-openid': 'oNobody' }), [])

  const database = new DatabaseSync(file)
  const rows = database.prepare('SELECT openid, product_id FROM orders ORDER BY id').all()
  database.close()
  t.match(rows, [
    { openid: ALICE['x-openid'], product_id: 'tea-250' },
    { openid: BOB['x-openid'], product_id: 'cup-01' },
    { openid: ALICE['x-openid'], product_id: 'cup-01' }
  ])
})

test('without X-OpenId there are no orders, but the product list is public', async (t) => {
  const { url, port } = await start(t)
  t.equal((await fetch(`${url}/orders`)).status, 401)
  t.equal((await order(url, {}, '{"product_id":"tea-250"}')).status, 401)
  t.equal((await fetch(`${url}/orders`, { headers: { 'x-openid': '' } })).status, 401)
  const twice = await raw(
    port,
    'GET /orders HTTP/1.1\r\nHost: a\r\nX-OpenId: a\r\nX-OpenId: b\r\nConnection: close\r\n\r\n'
  )
  t.match(twice, /^HTTP\/1\.1 401 /, 'two identities count as none')
  const products = await fetch(`${url}/products`)
  t.equal(products.status, 200)
  t.match(await products.json(), { products: [{ id: String, name: String, price_cents: Number }] })
  t.match(await (await fetch(`${url}/healthz?verbose`)).json(), { status: 'ok' })
})

test('an openid and a product id are data, never SQL', async (t) => {
  const { url } = await start(t)
  await order(url, ALICE, '{"product_id":"tea-250"}')
  const hostile = { 'x-openid': "x'OR'1'='1" }
  t.strictSame(await ordersOf(url, hostile), [])
  await order(url, hostile, JSON.stringify({ product_id: "'); DROP TABLE orders; --" }))
  t.strictSame(await ordersOf(url, hostile), ["'); DROP TABLE orders; --"])
  t.strictSame(await ordersOf(url, ALICE), ['tea-250'])
})

test('a body that is not an order is a 400', async (t) => {
  const { url } = await start(t)
  const bodies = ['', '{', 'null', '[]', '"tea"', '{}', '{"product_id":1}', '{"product_id":""}', '{"product_id":null}']
  for (const body of [...bodies, JSON.stringify({ product_id: 'x'.repeat(65) })]) {
    const response = await order(url, ALICE, body)
    t.equal(response.status, 400, body.slice(0, 30))
    t.match(await response.json(), { error: String })
  }
  const notText = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: ALICE,
    body: Buffer.from([0x22, 0xff, 0x22])
  })
  t.equal(notText.status, 400, 'bytes that are not UTF-8')
  t.strictSame(await ordersOf(url, ALICE), [])
})

test('a body over 64 KiB is a 413, whether its length is announced or not', async (t) => {
  const { url } = await start(t)
  const fits = `{"product_id":"tea-250"}${' '.repeat(64 * 1024 - 24)}`
  t.equal((await order(url, ALICE, fits)).status, 201)
  t.equal((await order(url, ALICE, `${fits} `)).status, 413)
  const streamed = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: ALICE,
    body: new Blob([`${fits} `]).stream(),
    duplex: 'half'
  } as RequestInit)
  t.equal(streamed.status, 413)
})

test('other methods and paths are refused by name', async (t) => {
  const { url } = await start(t)
  const removed = await fetch(`${url}/orders`, { method: 'DELETE', headers: ALICE })
  t.equal(removed.status, 405)
  t.equal(removed.headers.get('allow'), 'GET, POST')
  t.equal((await fetch(`${url}/products`, { method: 'POST', body: '{}' })).status, 405)
  t.equal((await fetch(`${url}/orders/1`, { headers: ALICE })).status, 404)
  t.equal((await fetch(`${url}/`)).status, 404)
  t.equal((await fetch(`${url}/orders`, { method: 'HEAD', headers: ALICE })).status, 200)
})

test('no input ends the service', async (t) => {
  const { url, port } = await start(t)
  const inputs = [
    'nonsense\r\n\r\n',
    '\u0000\u0000\u0000\r\n\r\n',
    'GET // HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET http://[::1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET /%zz?%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'POST /orders HTTP/1.1\r\nHost: a\r\nX-OpenId: a\r\nContent-Length: 10\r\n\r\n{"pro',
    'POST /orders HTTP/1.1\r\nHost: a\r\nX-OpenId: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    `GET /orders HTTP/1.1\r\nHost: a\r\nX-OpenId: ${'a'.repeat(20000)}\r\n\r\n`,
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /orders HTTP/1.1\r\nHost: a\r\nX-OpenId: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
  ]
  // Some of them never get an answer: the service closes after the end of the client's side.
  await Promise.all(
    inputs.map(async (input) => {
      const client = await openClient(t, port)
      client.send(input)
      client.socket.end()
      await client.closed
    })
  )
  t.equal((await fetch(`${url}/healthz`)).status, 200)
})

test('started by hand it takes its address and file from the environment, and ends on SIGTERM', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-orders-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const child = spawn(process.execPath, [join(import.meta.dirname, '../examples/orders/server.ts')], {
    env: { ORDERS_PORT: '0', ORDERS_HOST: '127.0.0.1', ORDERS_DB: join(folder, 'orders.db') },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let output = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    output += String(chunk)
    if (output.includes('\n')) break
  }
  const url = /http:\/\/\S+/.exec(output)?.[0]
  t.ok(url, output)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  child.kill('SIGTERM')
  t.equal(await exited, 0)
})
