/** Addresses and redirects of the mini-program client: the token goes to the gateway and
 *  nowhere else. */
import { test } from 'tap'
import { rejection, startPhone } from './support/phone.ts'
import { startUpstream } from './support/upstream.ts'

test('the token goes to baseUrl and nowhere else', async (t) => {
  const { client, wire, wx, program, gateway } = await startPhone(t)
  const elsewhere = await startUpstream(t)
  await client.login()
  const host = wire.url.slice('http://'.length)
  const sentBefore = wx.sent.length
  const addresses = [
    elsewhere.url,
    `${elsewhere.url}/api/a`,
    `//127.0.0.1:${elsewhere.port}/api/a`,
    `\\\\127.0.0.1:${elsewhere.port}/api/a`,
    `http:/\\127.0.0.1:${elsewhere.port}/a`,
    `http:127.0.0.1:${elsewhere.port}/a`,
    `http://${host}@127.0.0.1:${elsewhere.port}/a`,
    `http://${host}\\@127.0.0.1:${elsewhere.port}/a`,
    `http://x@${host}/a`,
    `${wire.url}0/a`,
    `${wire.url}.evil.example/a`,
    `https://${host}/a`,
    `ftp://${host}/a`,
    `${gateway.url}/api/a`,
    `javascript:alert(1)`,
    `/api/../../a`,
    `/api/%2e%2E/a`,
    `/api/.\\a`
  ]
  for (const url of addresses) {
    t.match(await rejection(client.request({ url })), { code: 'invalid_url' }, url)
    t.match(await rejection(client.downloadFile({ url })), { code: 'invalid_url' })
    t.match(await rejection(client.uploadFile({ url, filePath: 'a', name: 'a' })), { code: 'invalid_url' })
    const failure = await new Promise((resolve) => client.connectSocket({ url, fail: resolve }))
    t.match(failure, { code: 'invalid_url' })
  }
  t.equal(wx.sent.length, sentBefore, 'no request was sent')
  t.equal(elsewhere.seen.length, 0)
  for (const url of [
    '@127.0.0.1/',
    '.evil.example',
    ':80/',
    '/api/a?u=http://evil.example/../',
    `HTTP://${host}/api/a`
  ]) {
    await rejection(client.request({ url }))
  }
  t.ok(wx.sent.every(({ url }) => url.toLowerCase().startsWith(`${wire.url}/`)))
  for (const baseUrl of [
    '',
    'gateway',
    'ftp://a',
    'https://a@b',
    'https://a?b',
    'https://a/#',
    'https://a b',
    'https://a/../b'
  ]) {
    t.throws(() => program.createClient({ baseUrl }), { code: 'invalid_url' }, baseUrl)
  }
  const below = program.createClient({ baseUrl: `${wire.url}/gw/` })
  t.match(await rejection(below.request({ url: `${wire.url}/gateway/a` })), { code: 'invalid_url' })
})

test('a redirect to another address goes there without the token', async (t) => {
  const elsewhere = await startUpstream(t)
  const { client, upstream, wx } = await startPhone(t, {
    handler(_req, res, { url, method }) {
      const [, status, where] = /^\/api\/(\d+)\/(\w+)/.exec(url) ?? []
      const location = { out: `${elsewhere.url}/file?sig=1`, in: '/api/200/done', loop: url }[where ?? '']
      res.writeHead(Number(status), location ? { location } : {}).end(JSON.stringify({ method }))
    }
  })
  const own = { 'X-Own': 'for the gateway' }
  t.equal((await client.request({ url: '/api/302/out', header: own })).statusCode, 200)
  t.equal(elsewhere.seen.length, 1)
  t.notOk(elsewhere.seen[0]?.headers.authorization ?? elsewhere.seen[0]?.headers['x-own'])
  t.equal((await client.request({ url: '/api/307/out', method: 'POST', data: { a: 1 } })).statusCode, 307)
  t.equal(elsewhere.seen.length, 1, 'a body for the gateway is sent nowhere else')
  upstream.seen.length = 0
  t.same((await client.request<{ method: string }>({ url: '/api/303/in', method: 'POST', data: { a: 1 } })).data, {
    method: 'GET'
  })
  t.same((await client.request<{ method: string }>({ url: '/api/308/in', method: 'PUT', data: { a: 1 } })).data, {
    method: 'PUT'
  })
  t.same(
    upstream.seen.map(({ method, body }) => `${method} ${body}`),
    ['POST {"a":1}', 'GET ', 'PUT {"a":1}', 'PUT {"a":1}']
  )
  t.ok(upstream.seen.every(({ headers }) => headers['x-openid']))
  t.equal((await client.request({ url: '/api/302/in', redirect: 'manual' })).statusCode, 302)
  t.equal((await client.request({ url: '/api/302/loop' })).statusCode, 302)
  t.ok(wx.sent.length < 20)
})

test('an address that is not on the list of WeChat is invalid_url', async (t) => {
  const { client, wire } = await startPhone(t, { domains: ['https://gateway.example.com'] })
  t.match(await rejection(client.login()), { code: 'invalid_url', errno: 600002, errMsg: /url not in domain list/ })
  t.equal(wire.requests.length, 0)
})
