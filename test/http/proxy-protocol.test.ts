/** `server.proxyProtocol`: the header of a listed load balancer names the client, on both lanes,
 *  and nothing else may send one. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { type Test, test } from 'tap'
import { crc32c } from '../../src/http/proxy-protocol/crc32c.ts'
import { readProxyHeader } from '../../src/http/proxy-protocol/proxy-header.ts'
import { createProxyProtocol } from '../../src/http/proxy-protocol/proxy-protocol.ts'
import { hasOpenssl } from '../support/certificates.ts'
import { configText, load } from '../support/config.ts'
import { buildTestGateway, defaultConfig, type TestGateway } from '../support/gateway.ts'
import { freePort, startProcess, untilStatus, writeConfig } from '../support/process.ts'
import { startHaproxy } from '../support/proxies.ts'
import { headerV1, headerV2 } from '../support/proxy-headers.ts'
import { exchange, get, openClient } from '../support/raw-client.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'

const SERVER = { host: '127.0.0.1', port: 1, drain: { delay: '10ms', timeout: '2s' } }
const LISTED = { ...SERVER, proxyProtocol: ['127.0.0.1'] }
const V6 = '2001:db8:0:0:0:0:0:7'

test('a header of either version names the client, whole bytes of it and no more', async (t) => {
  const after = Buffer.from('GET / HTTP/1.1\r\n')
  const cases: readonly (readonly [string | Buffer, string | null])[] = [
    [headerV1('192.0.2.7'), '192.0.2.7'],
    [headerV1('2001:db8::7'), '2001:db8::7'],
    [headerV1('::ffff:192.0.2.7'), '192.0.2.7'],
    ['PROXY UNKNOWN\r\n', null],
    ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', null],
    [headerV2(), '192.0.2.7'],
    [headerV2({ source: V6 }), '2001:db8::7'],
    [headerV2({ hasCrc: true, fields: [[0x02, Buffer.from('api.example.com')]] }), '192.0.2.7'],
    [headerV2({ command: 0x20 }), null],
    [headerV2({ command: 0x20, family: 0x00, addresses: Buffer.alloc(0) }), null],
    [headerV2({ family: 0x00, addresses: Buffer.alloc(9) }), null],
    [headerV2({ family: 0x31, addresses: Buffer.alloc(216, '/') }), null],
    [headerV2({ family: 0x12 }), null]
  ]
  for (const [header, address] of cases) {
    const reading = readProxyHeader(Buffer.concat([Buffer.from(header), after]))
    t.match(reading, { address, length: header.length, isTls: false }, JSON.stringify(header.toString('latin1')))
  }
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283, 'the check value of CRC32c')
  t.match(readProxyHeader(headerV2({ fields: [[0x20, Buffer.from([1, 0, 0, 0, 0])]] })), { isTls: true })
  t.match(readProxyHeader(headerV2({ fields: [[0x20, Buffer.from([0, 0, 0, 0, 0])]] })), { isTls: false })
})

test('a header that is not written by the rules is invalid', async (t) => {
  const badCrc = headerV2({ hasCrc: true })
  badCrc[16] = 198
  const cases: readonly (string | Buffer)[] = [
    'GET / HTTP/1.1\r\n',
    'PROXY TCP4 192.0.2.7 127.0.0.1 40000 443\n',
    'PROXY TCP4  192.0.2.7 127.0.0.1 40000 443\r\n',
    'PROXY TCP4 192.0.2.7 127.0.0.1 40000 443 \r\n',
    'PROXY TCP4 192.0.2.7 127.0.0.1 65536 443\r\n',
    'PROXY TCP4 192.0.2.7 127.0.0.1 040 443\r\n',
    'PROXY TCP4 192.0.02.7 127.0.0.1 40 443\r\n',
    'PROXY TCP4 2001:db8::7 ::1 40 443\r\n',
    'PROXY TCP6 192.0.2.7 127.0.0.1 40 443\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 40 443\r\n',
    'PROXY TCP4 a.example 127.0.0.1 40 443\r\n',
    'PROXY UDP4 192.0.2.7 127.0.0.1 40 443\r\n',
    'PROXY UNKNOWNX\r\n',
    `PROXY UNKNOWN ${'x'.repeat(107)}`,
    'proxy UNKNOWN\r\n',
    headerV2({ command: 0x22 }),
    headerV2({ command: 0x11 }),
    headerV2({ family: 0x41 }),
    headerV2({ family: 0x21 }),
    headerV2({ addresses: Buffer.alloc(11) }),
    headerV2({ fields: [[0x04, Buffer.alloc(4090)]] }),
    headerV2({ addresses: Buffer.concat([Buffer.alloc(12), Buffer.from([0x04, 0, 9, 1])]) }),
    headerV2({ addresses: Buffer.concat([Buffer.alloc(12), Buffer.from([0x04, 0])]) }),
    badCrc
  ]
  for (const header of cases) {
    t.equal(readProxyHeader(Buffer.from(header)), 'invalid', JSON.stringify(header.toString('latin1').slice(0, 80)))
  }
})

interface Pair {
  readonly upstream: TestUpstream
  readonly gateway: TestGateway
}

async function start(t: Test, server: object): Promise<Pair> {
  const upstream = await startUpstream(t)
  return { upstream, gateway: await buildTestGateway(t, upstream.url, { config: { server } }) }
}

/** The addresses of the newest requests in the access log. */
function addressesIn({ lines }: TestGateway): unknown[] {
  const read = lines.map((line) => JSON.parse(line) as { msg: string; client?: string })
  return read.filter(({ msg }) => msg === 'request').map(({ client }) => client)
}

for (const fastLane of [true, false]) {
  const lane = fastLane ? 'fast' : 'general'
  test(`${lane} lane: the announced address is that of the connection, split at every byte`, async (t) => {
    const { upstream, gateway } = await start(t, { ...LISTED, fastLane, trustedProxies: ['198.51.100.0/24'] })
    const ask = async (header: string | Buffer, more = '') => {
      const whole = Buffer.concat([Buffer.from(header), Buffer.from(get('/public/x', undefined, more))])
      const { responses } = await exchange(gateway.port, whole)
      t.equal(responses[0]?.status, 200)
      return upstream.seen.at(-1)?.headers['x-forwarded-for']
    }
    t.equal(await ask(headerV1('192.0.2.7')), '192.0.2.7')
    t.equal(await ask(headerV2({ source: V6, hasCrc: true })), '2001:db8::7')
    t.equal(await ask(headerV2({ command: 0x20 })), '127.0.0.1', 'the peer speaks for itself')
    const forwarded = 'X-Forwarded-For: 203.0.113.9\r\n'
    t.equal(await ask(headerV1('192.0.2.8'), forwarded), '192.0.2.8', 'the client is no trusted proxy')
    t.equal(await ask(headerV1('198.51.100.1'), forwarded), '203.0.113.9, 198.51.100.1', 'a trusted one')
    t.same(addressesIn(gateway), ['192.0.2.7', '2001:db8::7', '127.0.0.1', '192.0.2.8', '203.0.113.9'])
    await ask(headerV2({ fields: [[0x20, Buffer.from([1, 0, 0, 0, 0])]] }))
    t.equal(upstream.seen.at(-1)?.headers['x-forwarded-proto'], 'https', 'the client came over TLS')

    const request = Buffer.from(get('/public/split'))
    for (const header of [Buffer.from(headerV1('192.0.2.9')), headerV2({ source: '192.0.2.9' })]) {
      const whole = Buffer.concat([header, request])
      const count = upstream.seen.length
      const places = [...whole.keys()].slice(1)
      await Promise.all(places.map((at) => exchange(gateway.port, [whole.subarray(0, at), whole.subarray(at)])))
      const seen = upstream.seen.slice(count).map(({ headers }) => headers['x-forwarded-for'])
      t.same(
        seen,
        places.map(() => '192.0.2.9')
      )
    }
  })

  test(`${lane} lane: a listed peer without a valid header is closed, and its bytes reach no parser`, async (t) => {
    const { upstream, gateway } = await start(t, { ...LISTED, fastLane, limits: { headersTimeout: '1s' } })
    for (const bytes of [
      get('/public/x'),
      `\r\n${get('/public/x')}`,
      `PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n${get('/public/x')}`,
      headerV2({ command: 0x2f }),
      'PROXY TCP4 1.2.3.4'
    ]) {
      const { text, isClosed } = await exchange(gateway.port, bytes)
      t.same([text, isClosed], ['', true], JSON.stringify(bytes.toString('latin1').slice(0, 30)))
    }
    const twice = headerV1('192.0.2.7') + headerV1('192.0.2.8') + get('/public/x')
    t.match(await gateway.raw(twice), /^HTTP\/1\.1 400 /, 'the second header is a request line')
    t.equal(upstream.seen.length, 0)
    const probe = await openClient(t, gateway.port)
    probe.socket.end()
    await probe.closed
    await idle()
    const metrics = await (await gateway.service('/metrics')).text()
    t.match(metrics, /^wxgate_proxy_protocol_errors_total 5$/m, 'a probe without bytes is no error')
    t.match(gateway.lines.join(''), /sent no valid PROXY header: its connection was closed/)
  })
}

test('no other peer may send a header, and the service listener reads none', async (t) => {
  const { upstream, gateway } = await start(t, { ...SERVER, proxyProtocol: ['127.0.0.2'] })
  for (const header of [headerV1('192.0.2.7'), headerV2()]) {
    t.match(await gateway.raw(Buffer.concat([Buffer.from(header), Buffer.from(get('/public/x'))])), /^HTTP\/1\.1 400 /)
  }
  t.equal(upstream.seen.length, 0)
  t.equal((await gateway.call('/public/x')).status, 200, 'an ordinary request of that peer')

  const listed = { ...gateway.config, server: { ...gateway.config.server, proxyProtocol: ['127.0.0.1'] } }
  await gateway.gateway.reload(listed)
  t.equal((await exchange(gateway.port, get('/public/x'))).text, '', 'a reload changes the list')
  t.match(await gateway.raw(headerV1('192.0.2.7') + get('/public/x')), /^HTTP\/1\.1 200 /)
  t.equal((await gateway.service('/livez')).status, 200)
})

test('limits and decisions see the announced address', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { ...LISTED, loginLimit: { max: 1, window: '1h', by: 'ip' }, limits: { connectionsPerPeer: 2 } },
      routes: [{ path: '/inside', upstream: 'app', auth: 'public', ip: { allow: ['192.0.2.0/24'] } }]
    }
  })
  t.match(await gateway.raw(headerV1('192.0.2.7') + get('/inside')), /^HTTP\/1\.1 200 /)
  t.match(await gateway.raw(headerV1('203.0.113.7') + get('/inside')), /^HTTP\/1\.1 403 /)
  const login = (address: string, code: string) => {
    const body = JSON.stringify({ code })
    const head = `POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
    return gateway.raw(`${headerV1(address)}${head}\r\n\r\n${body}`)
  }
  t.match(await login('192.0.2.7', 'sandbox-alice'), /^HTTP\/1\.1 200 /)
  t.match(await login('192.0.2.7', 'sandbox-bob'), /^HTTP\/1\.1 429 /)
  t.match(await login('192.0.2.8', 'sandbox-carol'), /^HTTP\/1\.1 200 /)
  const held = [await openClient(t, gateway.port), await openClient(t, gateway.port)]
  for (const client of held) client.send(headerV1('192.0.2.50'))
  await idle()
  t.match(await gateway.raw(headerV1('192.0.2.50') + get('/inside')), /^HTTP\/1\.1 429 /, 'counted by client')
  t.match(await gateway.raw(headerV1('192.0.2.51') + get('/inside')), /^HTTP\/1\.1 200 /)
})

test('the header stands before the TLS handshake', async (t) => {
  const certificate = hasOpenssl(t)?.make('a.example', 'DNS:a.example')
  if (!certificate) return
  const { certFile, keyFile } = certificate
  for (const fastLane of [true, false]) {
    const { upstream, gateway } = await start(t, {
      ...LISTED,
      fastLane,
      tls: { cert: { file: certFile }, key: { file: keyFile } }
    })
    const client = await openClient(t, gateway.port)
    client.socket.removeAllListeners('data')
    client.send(headerV1('192.0.2.7'))
    const tls = connectTls({ socket: client.socket, ca: certificate.cert, servername: 'a.example' })
    let text = ''
    tls.on('data', (chunk) => (text += chunk))
    tls.write(get('/public/x'))
    await until(() => text.includes('\r\n\r\n'))
    t.match(text, /^HTTP\/1\.1 200 /)
    t.match(upstream.seen.at(-1)?.headers, { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' })
    tls.destroy()
    t.equal((await exchange(gateway.port, get('/public/x'))).text, '', 'no answer in clear without a header')
  }
})

test('a connection that waits for its header does not hold up the end', async (t) => {
  const { gateway } = await start(t, LISTED)
  const client = await openClient(t, gateway.port)
  client.send('PROXY ')
  await idle()
  await gateway.gateway.close()
  await client.closed
})

test('HAProxy in front of two workers: the client of HAProxy is the client', async (t) => {
  const upstream = await startUpstream(t)
  const [port, servicePort, v1, v2] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const { file } = writeConfig(t, {
    ...defaultConfig(upstream.url),
    server: { ...LISTED, port, workers: 2 },
    service: { host: '127.0.0.1', port: servicePort },
    store: 'sqlite:./state.db'
  })
  startProcess(t, ['run', '-c', file])
  t.equal(await untilStatus(`http://127.0.0.1:${servicePort}/readyz`, 200), 200)
  const listeners = [
    [v1, 'send-proxy'],
    [v2, 'send-proxy-v2 proxy-v2-options crc32c,unique-id']
  ] as const
  const parts = listeners.map(
    ([at, how]) =>
      `listen in${at}\n  bind 127.0.0.1:${at}\n  unique-id-format %[uuid()]\n  server a 127.0.0.1:${port} ${how} check inter 50ms source 127.0.0.1\n`
  )
  const started = await startHaproxy(
    t,
    `defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n${parts.join('')}`,
    v1
  )
  if (!started) return
  for (const [at] of listeners) {
    for (let index = 0; index < 4; index++) {
      t.equal(await statusFrom('127.0.0.5', at), 200)
      t.equal(upstream.seen.at(-1)?.headers['x-forwarded-for'], '127.0.0.5')
    }
  }
})

/** The status of a request on a connection of its own, from another address of this machine. */
async function statusFrom(localAddress: string, port: number): Promise<number | undefined> {
  const call = request({ port, localAddress, host: '127.0.0.1', path: '/public/x', agent: false }).end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

test('the list is checked like that of the trusted proxies', async (t) => {
  const check = (list: string) => {
    const result = load(configText({}, `server: { proxyProtocol: ${list} }`))
    return result.ok ? [] : result.problems.map(({ path, message }) => `${path} ${message}`)
  }
  t.same(check('[10.0.0.0/8, "fd00::/8"]'), [])
  t.match(check('[10.0.0.0/33, lb.internal]'), [
    /^server\.proxyProtocol\[0\] must have a prefix length/,
    /^server\.proxyProtocol\[1\] must be an IP address/
  ])
  t.match(check('["0.0.0.0/0"]'), [/^server\.proxyProtocol\[0\] trusts every address/])
})

test('a connection without an announced client does not inherit that of an earlier one with the same ends', async (t) => {
  const ends = { remoteAddress: '127.0.0.1', remotePort: 40_000, localAddress: '127.0.0.1' }
  const { inFrontOf, clientOf } = createProxyProtocol({
    timeoutMs: 10_000,
    isRequiredOf: () => true,
    onRefused: () => t.fail('a header was refused')
  })
  const accept = async (header: string) => {
    const socket = Object.assign(new PassThrough(), ends)
    t.teardown(() => socket.destroy())
    await new Promise<unknown>((resolve) => {
      inFrontOf(resolve)(socket as unknown as Socket)
      socket.write(header)
    })
    return clientOf(socket)?.address ?? null
  }
  t.equal(await accept(headerV1('203.0.113.9').toString()), '203.0.113.9')
  t.equal(await accept('PROXY UNKNOWN\r\n'), null)
})
