/** WebSockets: decided like any other request before the upgrade, and a pipe after it.
 *  websocket-ends.test.ts has their end. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { buildTestGateway, SERVICE_TOKEN } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { get, openClient } from './support/raw-client.ts'
import { startRawUpstream } from './support/raw-upstream.ts'
import { idle } from './support/timers.ts'
import { until } from './support/until.ts'
import { handshake, join, KEY, SWITCHING, startSocketService } from './support/websocket.ts'

const MEGABYTES = 40

test('the token is checked before the upgrade', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url)
  const { access_token: token } = await gateway.login('alice')
  const refused = async (path: string, sent: string | undefined, more = '') => {
    const client = await openClient(t, gateway.port)
    client.send(handshake(path, sent, more))
    const answer = await client.response()
    t.match(answer.headers, { 'content-type': 'application/problem+json', connection: 'close' })
    await client.closed
    return `${answer.status} ${JSON.parse(answer.body).code}`
  }
  t.equal(await refused('/api/ws', undefined), '401 token_missing')
  t.equal(await refused('/api/ws', `${token}x`), '401 token_invalid')
  t.equal(await refused('/maybe/ws', 'nonsense'), '401 token_invalid')
  t.equal(await refused('/nowhere', token), '404 no_route')
  t.equal(await refused('/api/%2e%2e/ws', token), '400 bad_path')
  t.equal(await refused(`/api/ws?token=${token}`, undefined), '401 token_missing', 'a query is not a credential')
  t.equal(await refused('/api/ws', undefined, `Sec-WebSocket-Protocol: ${token}\r\n`), '401 token_missing')
  t.equal(service.seen.length, 0)
  const client = await openClient(t, gateway.port)
  client.send(handshake('/api/ws', token))
  const head = await client.head()
  t.match(head, /^HTTP\/1\.1 101 /)
  t.match(head, 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  client.send('hello')
  await until(() => client.pending === 'hello')
})

test('H16 identity is stripped and injected as for HTTP', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url, {
    config: {
      routes: [
        {
          path: '/api',
          upstream: 'app',
          stripPrefix: '/api',
          requestHeaders: { set: { 'X-Set': 'yes' }, remove: ['x-removed'] }
        },
        { path: '/maybe', upstream: 'app', auth: 'optional' },
        { path: '/run', upstream: 'app', identity: { headers: 'cloudrun' } }
      ]
    }
  })
  const { access_token: token, user } = await gateway.login('alice')
  const forged =
    'X-OpenId: EVIL\r\nx_openid: EVIL\r\nX.OpenId: EVIL\r\nX-User-Id: EVIL\r\nX-WX-OPENID: EVIL\r\nX-Forwarded-For: 6.6.6.6\r\n' +
    'X-Original-URL: /EVIL\r\nX-Removed: here\r\nCookie: kept=1\r\nConnection: X-OpenId\r\n'
  for (const [path, sent] of [
    ['/api/ws?a=b', token],
    ['/maybe/ws', undefined],
    ['/run/ws', token]
  ] as const) {
    const client = await join(t, gateway, path, sent, forged)
    client.close()
  }
  const [api, maybe, run] = service.seen
  t.match(api?.headers, { 'x-user-id': user.id, 'x-set': 'yes', cookie: 'kept=1', 'x-forwarded-for': '127.0.0.1' })
  t.match(api?.headers['x-openid'], /^o/)
  t.equal(api?.url, '/ws?a=b')
  t.notOk('x-removed' in (api?.headers ?? {}))
  t.notOk(Object.keys(maybe?.headers ?? {}).some((name) => /openid|user|session|appid/.test(name)))
  t.equal(run?.headers['x-wx-openid'], api?.headers['x-openid'])
  t.notMatch(JSON.stringify(service.seen.map((req) => req.rawHeaders)), /EVIL|uthorization|6\.6\.6\.6/)
})

test('subprotocols and extensions are negotiated by the two ends', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url)
  const more = 'Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n'
  const client = await openClient(t, gateway.port)
  client.send(handshake('/public/ws', undefined, more))
  t.match(await client.head(), 'Sec-WebSocket-Protocol: chat')
  t.match(service.seen[0]?.headers, {
    'sec-websocket-protocol': 'chat, superchat',
    'sec-websocket-extensions': 'permessage-deflate'
  })
})

test('bytes sent together with the handshake are not lost, on either side', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => socket.write(`${SWITCHING}\r\nwelcome`))
  const gateway = await buildTestGateway(t, upstream.url)
  const greeted = await join(t, gateway, '/public/ws')
  await until(() => greeted.pending === 'welcome')
  const echo = await startSocketService(t)
  const other = await buildTestGateway(t, echo.url)
  const client = await openClient(t, other.port)
  client.send(`${handshake('/public/ws')}early`)
  await until(() => client.pending.endsWith('early'))
})

test('40 MB go each way, at the pace of the slower side', async (t) => {
  let upstreamSocket: Socket | undefined
  const service = await startSocketService(t, (socket) => {
    upstreamSocket = socket as Socket
  })
  const gateway = await buildTestGateway(t, service.url)
  const client = await openClient(t, gateway.port)
  client.send(handshake('/public/ws'))
  await until(() => upstreamSocket !== undefined && client.pending.includes('\r\n\r\n'))
  if (!upstreamSocket) return
  const block = randomBytes(1024 * 1024)
  const flood = async (from: Duplex, to: Duplex) => {
    to.removeAllListeners('data')
    to.pause()
    let sent = 0
    const send = () => {
      sent++
      return from.write(block) ? true : Promise.race([once(from, 'drain'), delay(300, 'held up')])
    }
    // The other side does not read: the sender is held up before everything is in memory.
    while (sent < MEGABYTES && (await send()) !== 'held up') {}
    t.ok(sent < MEGABYTES, `held up after ${sent} MB`)
    let received = 0
    to.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    to.resume()
    await until(() => !from.writableNeedDrain)
    while (sent < MEGABYTES) await send()
    await until(() => received === MEGABYTES * block.length)
  }
  await flood(client.socket, upstreamSocket)
  await flood(upstreamSocket, client.socket)
})

test('half a connection stays open until its side is done', async (t) => {
  const service = await startSocketService(t, (socket) => {
    socket.resume()
    socket.on('end', () => {
      socket.write('last')
      idle().then(() => socket.end('words'))
    })
  })
  const gateway = await buildTestGateway(t, service.url)
  const client = await join(t, gateway, '/public/ws')
  client.socket.end('done')
  await until(() => client.isClosed)
  t.equal(client.pending, 'lastwords')
})

test('bytes that an upstream sent before it closed arrive, however slowly they are read', async (t) => {
  const size = 4 * 1024 * 1024
  const service = await startSocketService(t, (socket) => socket.end(Buffer.alloc(size, 'x')))
  const gateway = await buildTestGateway(t, service.url)
  const client = await openClient(t, gateway.port)
  client.send(handshake('/public/ws'))
  await until(() => client.pending.includes('\r\n\r\n'))
  client.socket.on('data', () => {
    client.socket.pause()
    setImmediate(() => client.socket.resume())
  })
  await client.closed
  t.equal(client.pending.length - client.pending.indexOf('\r\n\r\n') - 4, size)
})

test("an upstream's refusal is passed on", async (t) => {
  const upstream = await startRawUpstream(t, (socket, head) => {
    if (head.includes('/chunked'))
      socket.write(
        'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-OpenId: EVIL\r\n\r\n3\r\nno,\r\n6\r\n thanks\r\n0\r\n\r\n'.replace(
          '\r\n6\r\n thanks',
          '\r\n7\r\n thanks'
        )
      )
    else if (head.includes('/redirect'))
      socket.write(
        `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${upstream.port}/login\r\nContent-Length: 0\r\n\r\n`
      )
    else if (head.includes('/plain')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain')
    else socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nno')
  })
  const gateway = await buildTestGateway(t, upstream.url)
  const ask = async (path: string) => {
    const client = await openClient(t, gateway.port)
    client.send(handshake(path))
    await client.closed
    return client.response()
  }
  t.match(await ask('/public/ws'), { status: 403, body: 'no', headers: { 'set-cookie': 'a=b', connection: 'close' } })
  const chunked = await ask('/public/chunked')
  t.match(chunked, { status: 403, body: 'no, thanks' })
  t.notOk('x-openid' in chunked.headers || 'transfer-encoding' in chunked.headers)
  t.match(await ask('/public/redirect'), { status: 302, headers: { location: '/login' } })
  t.match(await ask('/public/plain'), { status: 200, body: 'plain' })
})

test("half of an upstream's refusal never looks complete, and a long one has time", async (t) => {
  const upstream = await startRawUpstream(t, (socket, head) => {
    const [, kind] = /^GET \/public\/(\w+)/.exec(head) ?? []
    if (kind === 'length') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
    else socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    if (kind === 'chunked') socket.end('4\r\nhalf\r\n')
    if (kind === 'stalled') socket.write('4\r\nhalf\r\n')
    if (kind !== 'slow') return
    let left = 8
    const timer = setInterval(() => {
      socket.write(--left > 0 ? '1\r\nx\r\n' : '0\r\n\r\n')
      if (left === 0) clearInterval(timer)
    }, 100)
    socket.on('close', () => clearInterval(timer))
  })
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { upstreams: { app: { targets: [{ url: upstream.url }], timeouts: { response: '1s', idle: '1s' } } } }
  })
  const ask = async (kind: string) => {
    const client = await openClient(t, gateway.port)
    let isBroken = false
    client.socket.on('error', () => {
      isBroken = true
    })
    client.send(handshake(`/public/${kind}`))
    await client.closed
    return { isBroken, text: client.pending }
  }
  t.match((await ask('length')).text, /\r\ncontent-length: 9\r\n\r\nhalf$/i, 'the length shows it')
  t.match(await ask('chunked'), { isBroken: true })
  t.match(await ask('stalled'), { isBroken: true })
  t.match(await ask('slow'), { isBroken: false, text: /\r\n\r\nx{7}$/ })
})

test('an upstream that cannot be reached, breaks off or is silent is 502 or 504, and another target is tried', async (t) => {
  const dead = `http://127.0.0.1:${await freePort()}`
  const raw = async (act: (socket: Socket) => void) => (await startRawUpstream(t, act)).url
  const ask = async (...urls: string[]) => {
    const gateway = await buildTestGateway(t, dead, {
      config: {
        upstreams: { app: { targets: urls.map((url) => ({ url })), timeouts: { connect: '1s', response: '1s' } } }
      }
    })
    const client = await openClient(t, gateway.port)
    client.send(handshake('/public/ws'))
    await until(() => client.pending.includes('\r\n\r\n'))
    if (client.pending.startsWith('HTTP/1.1 101')) return '101'
    const answer = await client.response()
    t.notMatch(JSON.stringify(answer), /127\.0\.0\.1|ECONN/)
    await client.closed
    t.equal(
      gateway.gateway.parts.upstreams.get('app').targets.reduce((sum, target) => sum + target.inFlight, 0),
      0
    )
    return `${answer.status} ${JSON.parse(answer.body).code}`
  }
  t.equal(await ask(dead), '502 upstream_unreachable')
  t.equal(await ask(await raw((socket) => socket.resetAndDestroy())), '502 upstream_unreachable')
  t.equal(await ask(await raw((socket) => socket.end('HTTP/1.1 101 Swi'))), '502 upstream_unreachable')
  t.equal(await ask(await raw((socket) => void socket.write('garbage\r\n\r\n'))), '502 upstream_invalid')
  t.equal(
    await ask(await raw((socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'))),
    '502 upstream_invalid'
  )
  t.equal(
    await ask(
      await raw((socket) => void socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'))
    ),
    '502 upstream_invalid'
  )
  t.equal(
    await ask(await raw((socket) => void socket.write(`${SWITCHING}X-A: a\x07b\r\n\r\n`, 'latin1'))),
    '502 upstream_invalid'
  )
  t.equal(await ask(await raw(() => {})), '504 upstream_timeout')
  t.equal(
    await ask(
      await raw((socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 20)
        socket.on('close', () => clearInterval(timer))
      })
    ),
    '504 upstream_timeout'
  )
  t.equal(await ask(dead, (await startSocketService(t)).url), '101')
})

test('a handshake may also ask for other protocols, and announce that it has no body', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url)
  const rest = `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`
  for (const lines of ['Upgrade: h2c, websocket\r\n', 'Upgrade: WebSocket\r\nContent-Length: 0\r\n']) {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/ws', undefined, rest + lines))
    t.match(await client.head(), /^HTTP\/1\.1 101 /)
  }
})

test('only a WebSocket handshake is upgraded; any other upgrade request is served as it is', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url)
  const asked = async (bytes: string) => {
    const client = await openClient(t, gateway.port)
    client.send(bytes)
    const { status, body } = await client.response()
    client.close()
    return `${status} ${body}`
  }
  const websocket = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
  const all = `Connection: Upgrade\r\n${websocket}Sec-WebSocket-Key: ${KEY}\r\n`
  t.equal(await asked(get('/public/x', undefined, 'Connection: Upgrade\r\nUpgrade: h2c\r\n')), '200 plain')
  t.equal(await asked(get('/public/x', undefined, 'Connection: Upgrade\r\nUpgrade: foo/2\r\n')), '200 plain')
  t.equal(await asked(get('/public/x', undefined, `Connection: Upgrade\r\n${websocket}`)), '200 plain', 'without a key')
  t.equal(
    await asked(get('/public/x', undefined, `${websocket}Sec-WebSocket-Key: ${KEY}\r\n`)),
    '200 plain',
    'without Connection'
  )
  t.equal(await asked(`POST /public/x HTTP/1.1\r\nHost: a\r\n${all}Content-Length: 2\r\n\r\nhi`), '200 plain')
  t.equal(await asked(get('/public/x', undefined, all).replace('HTTP/1.1', 'HTTP/1.0')), '200 plain', 'in HTTP/1.0')
  t.equal(service.seen.length, 0)
  // A length of 0 is no body (RFC 9112, section 6.3).
  await join(t, gateway, '/public/x', undefined, 'Content-Length: 0\r\n')
  const own = await openClient(t, gateway.port)
  own.send(handshake('/auth/session', SERVICE_TOKEN))
  t.equal((await own.response()).status, 400)
  await own.closed
})
