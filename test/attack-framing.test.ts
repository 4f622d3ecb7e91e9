/** Requests and bodies as an upstream receives them, and answers in their order. The corpus of
 *  the self-test (attack-corpus.test.ts) has the refused requests. */
import { test } from 'tap'
import { startTarget } from './support/attack.ts'
import { exchange } from './support/raw-client.ts'

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n'
const post = (lines: string, body: string) => `POST /x HTTP/1.1\r\nHost: test\r\n${lines}\r\n\r\n${body}`
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

test('the gateway frames a chunked body itself', async (t) => {
  const target = await startTarget(t)
  for (const value of ['CHUNKED', 'Chunked', '\tchunked', 'chunked ', ' \t chunked']) {
    const outcome = await target.attack(post(`Transfer-Encoding:${value}`, `${chunk('{"a":')}${chunk('1}')}0\r\n\r\n`))
    t.equal(outcome.status, 200, value)
    t.equal(outcome.seen.length, 1, value)
    t.equal(outcome.seen[0]?.body, '{"a":1}', value)
    t.equal(outcome.seen[0]?.headers['transfer-encoding'], 'chunked', value)
    t.equal(outcome.seen[0]?.headers['content-length'], undefined, value)
  }
  const extended = await target.attack(post('Transfer-Encoding: chunked', '2;a=b;c="d"\r\n{}\r\n000;x\r\n\r\n'))
  t.equal(extended.status, 200)
  t.equal(extended.seen[0]?.body, '{}')
})

test('a framing header in another spelling ends at the gateway', async (t) => {
  const target = await startTarget(t)
  for (const line of [
    'Transfer_Encoding: chunked',
    'Transfer.Encoding: chunked',
    'Content_Length: 40',
    'Transfer-Encoding_: chunked',
    'Content.Length: 1'
  ]) {
    const outcome = await target.attack(post(`${line}\r\nContent-Length: 0`, ''))
    t.equal(outcome.status, 200, line)
    t.equal(outcome.seen.length, 1, line)
    t.equal(outcome.seen[0]?.headers[line.split(':')[0]?.toLowerCase() ?? ''], undefined, line)
    t.equal(outcome.seen[0]?.headers['transfer-encoding'], undefined, line)
  }
})

test('the body of a GET or HEAD is not a request', async (t) => {
  const target = await startTarget(t)
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST']) {
    for (const lines of [
      `Content-Length: ${SMUGGLED.length}`,
      `Content-Length: ${SMUGGLED.length}\r\nConnection: content-length`,
      'Transfer-Encoding: chunked'
    ]) {
      const body = lines.startsWith('Transfer') ? `${chunk(SMUGGLED)}0\r\n\r\n` : SMUGGLED
      const outcome = await target.attack(`${method} /x HTTP/1.1\r\nHost: test\r\n${lines}\r\n\r\n${body}`, {
        isHead: method === 'HEAD'
      })
      t.equal(outcome.status, 200, `${method} ${lines}`)
      t.equal(outcome.seen.length, 1, `${method} ${lines}`)
      t.equal(outcome.seen[0]?.url, '/x', `${method} ${lines}`)
    }
  }
  const refused = await target.attack(
    `GET /admin HTTP/1.1\r\nHost: test\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`
  )
  t.equal(refused.status, 401)
  t.same(refused.seen, [])
})

test('Connection cannot remove the framing', async (t) => {
  const target = await startTarget(t)
  for (const line of [
    'Connection: content-length',
    'Connection: Content-Length, Transfer-Encoding',
    'Connection: close, content-length'
  ]) {
    const outcome = await target.attack(post(`${line}\r\nContent-Length: 2`, '{}'))
    t.equal(outcome.status, 200, line)
    t.equal(outcome.seen.length, 1, line)
    t.equal(outcome.seen[0]?.body, '{}', line)
    t.equal(outcome.seen[0]?.headers['content-length'], '2', line)
  }
})

test('HTTP/1.0 is served, but not with chunks', async (t) => {
  const target = await startTarget(t)
  const chunked = await exchange(
    target.gateway.port,
    `POST /x HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('{}')}0\r\n\r\n${SMUGGLED}`,
    { count: 2 }
  )
  t.equal(chunked.responses[0]?.status, 400)
  t.equal(chunked.responses.length, 1)
  t.ok(chunked.isClosed)
  t.same(target.upstream.seen, [])
  const plain = await exchange(target.gateway.port, 'GET /x HTTP/1.0\r\n\r\n', { count: 2 })
  t.equal(plain.responses[0]?.status, 200)
  t.equal(plain.responses[0]?.header('transfer-encoding'), '')
  t.match(plain.responses[0]?.body, /"url":"\/x"/)
  t.ok(plain.isClosed)
  const kept = await exchange(
    target.gateway.port,
    'POST /x HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}GET /y HTTP/1.0\r\n\r\n',
    { count: 2 }
  )
  // The end of the connection ends the answer, which has no length.
  t.same(
    kept.responses.map(({ status }) => status),
    [200]
  )
  t.ok(kept.isClosed)
  const refused = await exchange(target.gateway.port, 'GET /admin HTTP/1.0\r\n\r\n', { count: 2 })
  t.equal(refused.responses[0]?.status, 401)
  t.ok(refused.isClosed)
  const expecting = await exchange(
    target.gateway.port,
    'POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}'
  )
  t.equal(expecting.responses[0]?.status, 200)
})

test('CONNECT after a request is 405, and the connection ends', async (t) => {
  const target = await startTarget(t)
  const { responses, isClosed } = await exchange(
    target.gateway.port,
    `GET /x HTTP/1.1\r\nHost: t\r\n\r\nCONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n${SMUGGLED}`,
    { count: 3 }
  )
  t.same(
    responses.map(({ status }) => status),
    [200, 405]
  )
  t.ok(isClosed)
  t.same(
    target.upstream.seen.map(({ url }) => url),
    ['/x']
  )
})

test('TRACE and a method without a route are 405', async (t) => {
  const routes = [
    { path: '/x', upstream: 'app', auth: 'public', methods: ['GET', 'POST'] },
    { path: '/', upstream: 'app', auth: 'public' }
  ]
  const target = await startTarget(t, { config: { routes } })
  for (const path of ['/x', '/', '*', '/auth/login']) {
    const outcome = await target.attack(`TRACE ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
    t.equal(outcome.status, 405, path)
    t.equal(outcome.code, 'method_not_allowed', path)
    t.same(outcome.seen, [], path)
  }
  for (const method of [
    'PROPFIND',
    'DELETE',
    'PUT',
    'PATCH',
    'OPTIONS',
    'QUERY',
    'MKCOL',
    'PURGE',
    'SEARCH',
    'LOCK',
    'M-SEARCH'
  ]) {
    const outcome = await target.attack(`${method} /x HTTP/1.1\r\nHost: test\r\n\r\n`)
    t.equal(outcome.status, 405, method)
    t.equal(outcome.response?.header('allow'), 'GET, POST, HEAD', method)
    t.same(outcome.seen, [], method)
    const open = await target.attack(`${method} /y HTTP/1.1\r\nHost: test\r\n\r\n`)
    t.equal(open.status, 200, method)
    t.equal(open.seen[0]?.method, method)
  }
  t.equal((await target.attack('HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n', { isHead: true })).status, 200)
  t.equal((await target.attack('GET /X HTTP/1.1\r\nHost: test\r\n\r\n')).status, 200)
  // A server that ignores case would read DELETE /X as the stricter /x.
  t.equal((await target.attack('DELETE /X HTTP/1.1\r\nHost: test\r\n\r\n')).status, 404)
  t.equal((await target.attack('GET /auth/login HTTP/1.1\r\nHost: test\r\n\r\n')).status, 405)
})

test('QUERY passes with and without a type', async (t) => {
  const target = await startTarget(t)
  for (const type of ['', 'Content-Type: application/sql\r\n']) {
    const outcome = await target.attack(`QUERY /x HTTP/1.1\r\nHost: test\r\n${type}Content-Length: 8\r\n\r\nselect 1`)
    t.equal(outcome.status, 200)
    t.equal(outcome.seen[0]?.method, 'QUERY')
    t.equal(outcome.seen[0]?.body, 'select 1')
  }
})

test('requests of several users on one connection keep their own identity and order', async (t) => {
  const target = await startTarget(t)
  const { gateway, upstream } = target
  const names = ['ann', 'ben', 'cat', 'dan']
  const users = await Promise.all(
    names.map(async (name) => ({ name, token: (await gateway.login(name)).access_token }))
  )
  const login = '{"code":"sandbox-eve"}'
  let bytes = `POST /auth/login HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: ${login.length}\r\n\r\n${login}`
  const expected: string[] = []
  for (let round = 0; round < 6; round++) {
    for (const { name, token } of users) {
      bytes += `GET /admin/${name}/${round} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer ${token}\r\n\r\n`
      expected.push(`/admin/${name}/${round}`)
    }
    bytes += 'GET /admin/nobody HTTP/1.1\r\nHost: t\r\n\r\n'
    expected.push('401')
    bytes += 'GET /x/../y HTTP/1.1\r\nHost: t\r\n\r\n'
    expected.push('400')
  }
  const { responses } = await exchange(gateway.port, bytes, { count: expected.length + 1 })
  t.equal(responses[0]?.status, 200)
  t.match(responses[0]?.body, /access_token/)
  t.same(
    responses
      .slice(1)
      .map(({ status, body }) => (status === 200 ? (JSON.parse(body) as { url: string }).url : String(status))),
    expected
  )
  const identities = new Map<string, Set<unknown>>()
  for (const { url, headers } of upstream.seen) {
    const name = url.split('/')[2] ?? ''
    identities.set(name, (identities.get(name) ?? new Set()).add(headers['x-user-id']))
  }
  t.equal(identities.size, names.length)
  for (const [name, ids] of identities) t.equal(ids.size, 1, name)
  t.equal(new Set([...identities.values()].map((ids) => [...ids][0])).size, names.length)
})

test('a body beyond the limit is 413, announced or not', async (t) => {
  const routes = [{ path: '/', upstream: 'app', auth: 'public', bodyLimit: '1kb' }]
  const target = await startTarget(t, { config: { routes } })
  const big = 'a'.repeat(1_025)
  const huge = 'a'.repeat(200_000)
  const rows = [
    post(`Content-Length: ${big.length}`, big),
    post(`Content-Length: ${huge.length}`, huge),
    post('Transfer-Encoding: chunked', `${chunk(big)}0\r\n\r\n`),
    post('Transfer-Encoding: chunked', `${chunk('a'.repeat(600)).repeat(300)}0\r\n\r\n`),
    post('Content-Length: 999999999999999', 'a')
  ]
  const outcomes = await Promise.all(
    rows.map((bytes) => exchange(target.gateway.port, bytes, { count: 2, wait: 4_000 }))
  )
  for (const [index, { responses }] of outcomes.entries()) {
    t.equal(responses[0]?.status, 413, `row ${index}`)
    t.match(responses[0]?.body, /"code":"body_too_large"/, `row ${index}`)
    t.equal(responses.length, 1, `row ${index}`)
  }
  t.notOk(target.upstream.seen.some(({ body }) => body.length > 1_024))
  t.equal((await target.attack(post('Content-Length: 1024', 'a'.repeat(1_024)))).status, 200)
})

test('bodies and their types pass byte for byte', async (t) => {
  const target = await startTarget(t)
  for (const [type, body] of [
    ['application/json', '{"__proto__":{}}x'],
    ['application/json', '{"a":1,"a":2}'],
    ['application/json', '\0\r\n\r\n'],
    [';;;', '{}'],
    ['', '{}'],
    ['multipart/form-data; boundary=', '--'],
    ['text/plain; charset=utf-7', '+ADw-'],
    ['application/json; charset=x', '{}']
  ] as const) {
    const outcome = await target.attack(post(`Content-Type: ${type}\r\nContent-Length: ${body.length}`, body))
    t.equal(outcome.status, 200, type)
    t.equal(outcome.seen[0]?.body, body, type)
    t.equal(outcome.seen[0]?.headers['content-type'], type, type)
  }
})

test('headers that do not end in time are 408', async (t) => {
  const server = { host: '127.0.0.1', port: 1, limits: { headersTimeout: '300ms', bodyIdleTimeout: '300ms' } }
  const target = await startTarget(t, { config: { server } })
  const [head, body] = await Promise.all([
    exchange(target.gateway.port, 'GET /x HTTP/1.1\r\nHost: t\r\nX-A: '),
    exchange(target.gateway.port, post('Content-Length: 5', 'ab'))
  ])
  t.equal(head.responses[0]?.status, 408)
  t.match(head.responses[0]?.body, /"code":"request_timeout"/)
  t.equal(body.responses[0]?.status, 408)
})

test('garbage after a request is answered after it, and never in the middle of its answer', async (t) => {
  const target = await startTarget(t)
  for (const garbage of [
    'garbage\r\n\r\n',
    '\0\0\0',
    'GET /é HTTP/1.1\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
    `GET /${'a'.repeat(60_000)} HTTP/1.1\r\n\r\n`
  ]) {
    const { responses, isClosed, rest } = await exchange(
      target.gateway.port,
      `GET /x HTTP/1.1\r\nHost: t\r\n\r\n${garbage}`,
      { count: 3 }
    )
    const label = JSON.stringify(garbage.slice(0, 30))
    t.equal(responses[0]?.status, 200, label)
    t.match(responses[0]?.body, /"url":"\/x"/, label)
    t.match(String(responses[1]?.status), /^4/, label)
    t.equal(responses.length, 2, label)
    t.ok(isClosed, label)
    t.equal(rest, '', label)
  }
  const closing = await exchange(
    target.gateway.port,
    `GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n${SMUGGLED}`,
    { count: 3 }
  )
  t.same(
    closing.responses.map(({ status }) => status),
    [200]
  )
  t.notOk(target.upstream.seen.some(({ url }) => url === '/smuggled'))
})

test('a declined upgrade loses no request and gets no second answer', async (t) => {
  const target = await startTarget(t)
  const upgrade = 'GET /one HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
  const { responses, isClosed } = await exchange(
    target.gateway.port,
    [upgrade + SMUGGLED, 'GET /three HTTP/1.1\r\nHost: t\r\n\r\n'],
    { count: 3 }
  )
  t.same(
    responses.map(({ body }) => (JSON.parse(body) as { url: string }).url),
    ['/one']
  )
  t.ok(isClosed)
  const body = await exchange(
    target.gateway.port,
    `GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    { count: 2 }
  )
  t.equal(body.responses.length, 1)
  t.notOk(target.upstream.seen.some(({ url }) => url === '/smuggled'))
})
