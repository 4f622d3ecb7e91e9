/** Calls of backends to WeChat's API through /wxapi, after reports from the field. */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { test } from 'tap'
import { judgePath, withAccessToken } from '../../src/platforms/wechat/egress-paths.ts'
import { APPID, buildTestGateway, fillRoom, SERVICE_TOKEN, type TestGateway } from '../support/gateway.ts'

type Teardown = Parameters<typeof buildTestGateway>[0]

const MIB = 1024 * 1024
const TOKEN = JSON.stringify({ access_token: 'canary-access-token', expires_in: 7200 })

interface Received {
  readonly chunked: boolean
  readonly length: string | undefined
  readonly body: Buffer
}

async function build(t: Teardown, apiBase: string): Promise<TestGateway> {
  const config = { wechat: { apiBase, timeout: '5s' } }
  return buildTestGateway(t, 'http://127.0.0.1:9', { config, sandbox: {} as never })
}

/** Plays api.weixin.qq.com: 412 for a chunked request, and a record of every call except those
 *  for a token. */
async function startWeChat(t: Teardown) {
  const received: Received[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const { 'transfer-encoding': encoding, 'content-length': length } = req.headers
      const isToken = req.url === '/cgi-bin/stable_token'
      if (!isToken) received.push({ chunked: encoding !== undefined, length, body: Buffer.concat(chunks) })
      res.writeHead(encoding === undefined ? 200 : 412).end(isToken ? TOKEN : '{"errcode":0}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Sends `pieces` without a Content-Length. */
function sendChunked(gateway: TestGateway, type: string, pieces: readonly Buffer[]): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${SERVICE_TOKEN}`, 'content-type': type, 'transfer-encoding': 'chunked' }
    const outgoing = request(`${gateway.serviceUrl}/wxapi/${APPID}/wxa/img_sec_check`, { method: 'POST', headers })
    outgoing.on('response', (res) => {
      res.resume()
      resolve(res)
    })
    outgoing.on('error', reject)
    for (const piece of pieces) outgoing.write(piece)
    outgoing.end()
  })
}

test('a chunked body of any type reaches WeChat with its length', async (t) => {
  const { received, url } = await startWeChat(t)
  const gateway = await build(t, url)
  const rows: [string, number][] = [
    ['multipart/form-data; boundary=x', 3 * MIB],
    ['application/json', 10],
    ['application/octet-stream', 1],
    ['image/jpeg', 20 * MIB],
    ['text/xml', 0]
  ]
  for (const [type, size] of rows) {
    const body = randomBytes(size)
    const half = size >> 1
    const pieces = size === 0 ? [] : [body.subarray(0, half), body.subarray(half)].filter((piece) => piece.length > 0)
    t.equal((await sendChunked(gateway, type, pieces)).statusCode, 200, type)
    const last = received.at(-1)
    t.equal(last?.chunked, false, type)
    t.equal(last?.length, String(size), type)
    t.ok(last?.body.equals(body), type)
  }
})

test('a chunked body of more than 20 MiB is 413 and never reaches WeChat', async (t) => {
  const { received, url } = await startWeChat(t)
  const gateway = await build(t, url)
  const pieces = Array.from({ length: 21 }, () => randomBytes(MIB))
  const res = await sendChunked(gateway, 'multipart/form-data; boundary=x', pieces)
  t.equal(res.statusCode, 413)
  t.equal(res.headers['content-type'], 'application/problem+json')
  t.equal(received.length, 0)
})

test('a header of WeChat with bytes beyond ASCII reaches the backend unchanged, in any place', async (t) => {
  const name = Buffer.from('attachment; filename="报表.xlsx"')
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      const isToken = chunk.toString('latin1').includes('/cgi-bin/stable_token')
      const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Disposition: '
      const file = Buffer.concat([Buffer.from(head), name, Buffer.from('\r\nX-After: \xff\xfe\r\n\r\nx', 'latin1')])
      socket.end(isToken ? `HTTP/1.1 200 OK\r\nContent-Length: ${TOKEN.length}\r\n\r\n${TOKEN}` : file)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const gateway = await build(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const raw = await gateway.raw(
    `GET /wxapi/${APPID}/wxa/getfile HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${SERVICE_TOKEN}\r\n\r\n`,
    { port: gateway.servicePort }
  )
  t.match(raw, /^HTTP\/1\.1 200 /)
  t.ok(raw.includes(name.toString('latin1')))
  t.match(raw, '\r\nX-After: \xff\xfe\r\n')
  t.match(raw, /\r\n\r\nx$/)
})

test('a path whose answer is a credential is refused with all paths below it, and its neighbours are not', async (t) => {
  const { received, url } = await startWeChat(t)
  const gateway = await build(t, url)
  const refused = [
    '/tcb/getqcloudtoken',
    '/TCB/getQCloudToken',
    '/cgi-bin/ticket/getticket',
    '/cgi-bin/component/api_component_token',
    '/cgi-bin/component/api_authorizer_token',
    '/cgi-bin/openapi/rid/get',
    '/sns/component/jscode2session'
  ]
  for (const path of refused) {
    const response = await gateway.service(`/wxapi/${APPID}${path}`, { method: 'POST', token: SERVICE_TOKEN })
    t.match(await response.json(), { status: 403, code: 'forbidden' }, path)
  }
  t.equal(received.length, 0)
  const open = ['/tcb/uploadfile', '/cgi-bin/openapi/quota/get', '/cgi-bin/components', '/cgi-bin/getcallbackip']
  for (const path of open) t.equal(judgePath(path, 0), 'plain', path)
})

test("no spelling of the caller's own access_token is sent", async (t) => {
  const spellings = [
    'access_token%00',
    'access_token%00x',
    '%00access_token',
    'access_token%0a',
    'access%00_token',
    'access%2500_token',
    '%2561ccess_token',
    '%25252561ccess_token',
    'access.token',
    'access%20token',
    'access+token',
    'access%5btoken',
    'access_token[0]',
    'access_token%5B%5D',
    'access_token.x',
    '%EF%BD%81ccess_token',
    'access%EF%BC%BFtoken',
    'acce%C5%BF%C5%BF_token',
    'ACCESS%5FTOKEN%20',
    'access_to%E2%84%AAen',
    '?access_token',
    '%FFaccess_token',
    'access_token%ff%00'
  ]
  for (const name of spellings) {
    t.equal(withAccessToken(`?a=1&${name}=x&b=2`, 'T'), '?access_token=T&a=1&b=2', name)
    t.equal(withAccessToken(`?${name}`, 'T'), '?access_token=T', `${name} without a value`)
  }
  for (const name of ['token', 'access', 'my_access_token', 'access_tokens', 'refresh_token', 'a%00b']) {
    t.equal(withAccessToken(`?${name}=x`, 'T'), `?access_token=T&${name}=x`, name)
  }
})

test('calls that hold too many bytes together are refused with 503 overloaded, and the others go on', async (t) => {
  const { received, url } = await startWeChat(t)
  const gateway = await build(t, url)
  const body = randomBytes(MIB / 4)
  // Room for six and a half.
  const room = fillRoom(gateway, 6.5 * body.length)
  t.ok(room.isFilled)
  const calls = Array.from({ length: 7 }, () => {
    const headers = { authorization: `Bearer ${SERVICE_TOKEN}`, 'transfer-encoding': 'chunked' }
    const outgoing = request(`${gateway.serviceUrl}/wxapi/${APPID}/wxa/img_sec_check`, { method: 'POST', headers })
    outgoing.on('error', () => {})
    outgoing.write(body)
    const answered = new Promise<IncomingMessage>((resolve) => outgoing.on('response', resolve))
    return { outgoing, answered }
  })
  const refused = await Promise.race(calls.map(({ answered }) => answered))
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '1')
  refused.resume()
  for (const { outgoing } of calls) outgoing.end()
  const statuses = await Promise.all(calls.map(async ({ answered }) => (await answered).resume().statusCode))
  t.same(statuses.sort(), [200, 200, 200, 200, 200, 200, 503])
  t.equal(received.length, 6)
})
