/** The parts of http: the record of a request, the guard, own paths, redirects. */
import { createServer } from 'node:http'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { createGuard } from '../../src/http/guard.ts'
import { rewriteLocation } from '../../src/http/headers/location.ts'
import { isHealthPath, isOwnPath } from '../../src/http/path/own-paths.ts'
import { RequestRecord } from '../../src/http/record.ts'
import { GatewayRequest } from '../../src/http/request.ts'
import { listen } from '../support/listen.ts'
import { exchange, get } from '../support/raw-client.ts'

function createRecord() {
  const finished: RequestRecord[] = []
  const record = new RequestRecord({
    requestId: 'r1',
    traceparent: '',
    startedAt: performance.now(),
    method: 'GET',
    path: '/api/x',
    client: null,
    clientAddress: '192.0.2.1',
    observer: { finished: (one) => void finished.push(one) }
  })
  return { record, finished }
}

test('a record keeps the last decision, the last target and the first end', async (t) => {
  const { record, finished } = createRecord()
  const route = { path: '/api', upstream: 'app' }
  t.match(record, { isGranted: false, reason: '', tries: 0, upstreamMs: -1, target: '' })
  record.granted('token', route, { appId: 'wx1', userId: 'u1' })
  record.attempted({ host: 'a:1', config: { url: 'http://a:1' } }, '/')
  record.attempted({ host: 'b:2', config: { url: 'http://b:2' } }, '/')
  record.answered(200)
  record.finished(200)
  record.finished(502)
  t.match(record, { isGranted: true, reason: 'token', route, tries: 2, target: 'b:2', status: 200 })
  t.ok(record.ms >= record.upstreamMs && record.upstreamMs >= 0)
  t.same(finished, [record])
})

test('a granted request that fails stays granted, and a refused one is not', async (t) => {
  const { record } = createRecord()
  record.granted('public', { path: '/', upstream: 'app' }, null)
  record.failed('upstream_unreachable:ECONNREFUSED')
  t.match(record, { isGranted: true, reason: 'upstream_unreachable:ECONNREFUSED' })
  record.refused('rate_limited')
  t.match(record, { isGranted: false, reason: 'rate_limited', route: { path: '/' } })
  record.identified({ appId: 'wx1', userId: 'u2' })
  t.match(record.principal, { userId: 'u2' })
})

test('the guard answers with the error, hides an unexpected one, and breaks off a response that has begun', async (t) => {
  const errors: object[] = []
  const guard = createGuard({ error: (fields) => void errors.push(fields) })
  const server = createServer({ IncomingMessage: GatewayRequest }, (req, res) => {
    if (req.url === '/begun') res.write('half')
    guard.failed(res, req.url === '/known' ? new ApiError('no_route', 'No route.') : new Error('secret'))
  })
  const port = await listen(t, server)
  const ask = async (path: string) => (await exchange(port, get(path))).text
  t.match(await ask('/known'), /^HTTP\/1\.1 404 [\s\S]*"code":"no_route"/)
  t.equal(errors.length, 0)
  const unexpected = await ask('/unexpected')
  t.match(unexpected, /^HTTP\/1\.1 500 [\s\S]*"code":"internal_error"/)
  t.notMatch(unexpected, 'secret')
  t.notMatch(await ask('/begun'), /internal_error|0\r\n\r\n$/)
  t.match(errors, [{ err: { message: 'secret' } }, { err: { message: 'secret' } }])
  const socket = new PassThrough()
  guard.failed(socket, new Error('secret'))
  t.ok(socket.destroyed)
})

test('own paths are own in any letters and with a slash behind them, and their neighbours are not', async (t) => {
  for (const path of ['/auth', '/auth/', '/AUTH/login', '/wechat/x', '/livez', '/ReadyZ/', '/.well-known/jwks.json'])
    t.ok(isOwnPath(path), path)
  for (const path of ['/', '/authors', '/wechats', '/livez/x', '/.well-known/other', '/api/auth', '/healthzz'])
    t.notOk(isOwnPath(path), path)
  t.ok(isHealthPath('/healthz/'))
  t.notOk(isHealthPath('/auth'))
})

test('a redirect to a target becomes a path of the gateway, and one to elsewhere stays', async (t) => {
  const place = {
    targets: [{ origin: new URL('http://10.0.0.1:3000') }],
    stripPrefix: '/api',
    upstreamHost: 'shop.internal',
    clientHost: 'a.example'
  }
  const rewritten = (location: string) => {
    const headers = ['Location', location, 'X-Location', location]
    rewriteLocation(headers, place)
    t.equal(headers[3], location, 'another header is left alone')
    return headers[1]
  }
  t.equal(rewritten('http://10.0.0.1:3000/x?y'), '/api/x?y')
  t.equal(rewritten('HTTPS://10.0.0.1:3000//evil.example'), '/api/.//evil.example')
  t.equal(rewritten('https://Shop.internal:443/x'), '/api/x')
  t.equal(rewritten('/x'), '/api/x')
  t.equal(rewritten('/api/x'), '/api/x')
  t.equal(rewritten('http://a.example/x'), 'http://a.example/api/x')
  t.equal(rewritten('http://other.example/x'), 'http://other.example/x')
  t.equal(rewritten('//other.example/x'), '//other.example/x')
  t.equal(rewritten('next'), 'next')
})
