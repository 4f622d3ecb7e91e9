/** `wxgate selftest` as a command, against servers other than this gateway: arguments, exit status,
 *  and a report without the token. */
import httpProxy from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import { fastify } from 'fastify'
import { test } from 'tap'
import { showBytes } from '../src/selftest/redaction.ts'
import { formatReport, type Report } from '../src/selftest/report.ts'
import { buildTestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { command, echo, REFUSAL, selftest, startNaive } from './support/selftest.ts'
import { startUpstream } from './support/upstream.ts'

test('wrong arguments are refused with the reason', async (t) => {
  const refusals: [string[], RegExp][] = [
    [[], /--against is missing/],
    [['--against', 'http://127.0.0.1:1'], /--route is missing/],
    [['--against', 'ftp://127.0.0.1', '--route', '/a'], /http or https/],
    [['--against', 'http://127.0.0.1/api', '--route', '/a'], /must be an origin/],
    [['--against', 'http://127.0.0.1', '--route', 'a'], /--route must be/],
    [['--against', 'http://127.0.0.1', '--route', '/a/../b'], /--route must be/],
    [['--against', 'http://127.0.0.1', '--route', '/a', '--format', 'xml'], /--format/],
    [['--against', 'http://127.0.0.1', '--route', '/a', '--timeout', '1'], /--timeout/],
    [['--against', 'http://127.0.0.1', '--route', '/a', '--token', 'a\r\nb: c d'], /--token/],
    [
      ['--against', 'https://api.example.com', '--route', '/a'],
      /this sends \d{3,4} hostile requests to api\.example\.com: add --yes/
    ],
    [['--against', 'http://127.0.0.1.example.com', '--route', '/a'], /add --yes/],
    [['--against', 'http://127.0.0.1', '--route', '/a', '--token', 'a-token-of-8', '--backend', 'x'], /--backend/],
    [['--against', 'http://127.0.0.1', '--route', '/a', '--backend', '3000'], /--backend needs --token/],
    [['--nonsense'], /nonsense/]
  ]
  for (const [args, message] of refusals) {
    const { status, stdout, stderr } = await command(args)
    t.equal(status, 2, args.join(' '))
    t.match(stderr, message)
    t.equal(stdout, '')
  }
  t.equal((await command(['--help'])).status, 0)
})

test('an open route, a refused token and an unreachable gateway are not tested', async (t) => {
  const upstream = await startUpstream(t, echo)
  const gateway = await buildTestGateway(t, upstream.url)
  const open = await command(['--against', gateway.url, '--route', '/public'])
  t.equal(open.status, 2)
  t.match(open.stderr, 'without a token /public is answered 200')
  const stale = await command(['--against', gateway.url, '--route', '/api', '--token', 'stale-token'])
  t.equal(stale.status, 2)
  t.match(stale.stderr, 'with the token /api is answered 401')
  const away = await command(['--against', `http://127.0.0.1:${await freePort()}`, '--route', '/api'])
  t.equal(away.status, 1)
  t.match(away.stderr, 'does not answer: ECONNREFUSED')
})

test('a gateway that stops answering is reported, with exit status 1', async (t) => {
  let isDead = false
  const { url } = await startNaive(t, (request) => {
    if (request.includes('%c0%ae')) isDead = true
    return isDead ? null : REFUSAL
  })
  const { status, stdout } = await command(['--against', url, '--route', '/admin', '--timeout', '500'])
  t.equal(status, 1)
  t.match(stdout, 'DOES NOT ANSWER AS BEFORE')
  t.match(stdout, /FAILED/)
})

test('no piece of the token appears in a report', async (t) => {
  const { url } = await startNaive(t, (request) => {
    const text = `you sent ${request.replace(/\s/g, ' ')}`
    return `HTTP/1.1 ${request.includes('uthorization') || request.includes('access_token') ? 200 : 401} X\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  })
  const token =
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1X2NhbmFyeSIsIm5hbWUiOiJjYW5hcnkifQ.Q2FuYXJ5U2lnbmF0dXJlT2ZUaGVSZWFsVG9rZW4wMDA'
  const [, payload = '', signature = ''] = token.split('.')
  const secrets = [payload, signature, signature.split('').reverse().join('')].map((text) => text.toLowerCase())
  const args = ['--against', url, '--route', '/admin', '--format', 'json', '--timeout', '500']
  const { status, stdout } = await command(args, { WXGATE_SELFTEST_TOKEN: token })
  t.equal(status, 1)
  const report = JSON.parse(stdout) as Report
  t.ok(report.failures.length > 100)
  for (const text of [stdout, formatReport(report, 'text'), formatReport(report, 'markdown')]) {
    t.match(text, '[token]')
    const lower = text.toLowerCase()
    for (const secret of secrets) {
      for (let at = 0; at + 16 <= secret.length; at += 4) {
        if (lower.includes(secret.slice(at, at + 16))) t.fail('a piece of the token')
      }
    }
  }
})

test('control characters are escaped and long texts cut in a report', async (t) => {
  t.equal(
    showBytes('GET /\\ HTTP/1.1\r\nA: \x1b[2J\0\xff\r\n\r\n', null),
    'GET /\\\\ HTTP/1.1\\r\\n\nA: \\x1b[2J\\x00\\xff\\r\\n\n\\r\\n'
  )
  t.match(showBytes('a'.repeat(5_000), null), /a… and 3400 bytes more$/)
})

test('the stock plugins fail in every family, as known', async (t) => {
  const upstream = await startUpstream(t, echo)
  const app = fastify({ logger: false, forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(jwt, { secret: 'a-secret-of-more-than-32-characters!' })
  await app.register(httpProxy, {
    upstream: upstream.url,
    prefix: '/admin',
    rewritePrefix: '/admin',
    preValidation: async (request) => {
      await request.jwtVerify()
    },
    replyOptions: {
      rewriteRequestHeaders: (request, headers) => ({
        ...headers,
        'x-openid': (request as unknown as { user: { openid: string } }).user.openid
      })
    }
  })
  await app.register(httpProxy, { upstream: upstream.url, prefix: '/' })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const token = app.jwt.sign({ openid: 'oAlice00001' })
  const report = await selftest(url, { token, timeout: 1_000 })
  t.notOk(report.passed)
  t.notOk(report.answersLikeWxgate)
  const failed = new Map(report.failures.map(({ id, reason }) => [id, reason]))
  for (const id of ['P01.1', 'P02.1', 'P03.1', 'P04.1', 'P05.1', 'P09.1', 'P10.1', 'P13.2', 'P14.1', 'P15.1', 'P21.1'])
    t.match(failed.get(id), /^answered 200: let through/, id)
  for (const id of ['H02.4', 'H15.1', 'H28.1']) t.match(failed.get(id), /^the upstream received what/, id)
  for (const id of ['H08.1', 'J14.1', 'J16.5']) t.match(failed.get(id), /^answered 500/, id)
  for (const id of ['H17.3', 'S06.3']) t.match(failed.get(id), /^answered 401, expected 400/, id)
  t.match(failed.get('H26.1'), /received the access token/)
  t.match(failed.get('H16.1'), /the next request on it got no answer/)
  t.match(failed.get('J16.1'), /^answered 200/)
  for (const id of ['P12.1', 'P07.1', 'P25.1', 'H04.1', 'S21.1', 'J01.1', 'J03.1', 'J29.1'])
    t.notOk(failed.has(id), `${id} holds there`)
})
