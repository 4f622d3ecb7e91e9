/** Uploads, downloads and sockets of the mini-program client. */
import { type Test, test } from 'tap'
import type { Client, SocketOptions } from '../miniprogram/miniprogram_dist/index.d.ts'
import { type EchoSocket, startEchoSocket } from './support/echo-socket.ts'
import { HOUR, rejection, startPhone, times } from './support/phone.ts'
import { idle } from './support/timers.ts'

test('an upload carries the token, and is sent again only when the gateway refused it', async (t) => {
  const { client, wx, wire, clock, upstream } = await startPhone(t)
  wx.files.set('wxfile://tmp/a.png', Buffer.from('PNG bytes'))
  const upload = () =>
    client.uploadFile({ url: '/api/up', filePath: 'wxfile://tmp/a.png', name: 'photo', formData: { note: '茶' } })
  const answer = await upload()
  t.equal(answer.statusCode, 200)
  t.equal(answer.data, '{"ok":true}', 'text, as wx gives it')
  t.ok(upstream.seen[0]?.headers['x-openid'])
  t.match(upstream.seen[0]?.body, /name="note".*茶.*name="photo"; filename="a.png".*PNG bytes/s)
  clock.advance(3 * HOUR)
  t.equal((await upload()).statusCode, 200)
  t.equal(wire.count('/api/up'), 3)
  t.equal(wire.count('/auth/refresh'), 1)
  t.equal(upstream.seen.length, 2)
  t.match(await rejection(client.uploadFile({ url: '/nowhere', filePath: 'wxfile://tmp/a.png', name: 'a' })), {
    code: 'no_route',
    status: 404
  })
  t.match(await rejection(client.uploadFile({ url: '/api/up', filePath: 'wxfile://gone', name: 'a' })), {
    errMsg: /^uploadFile:fail/
  })
})

test('a download carries the token, and an error of the gateway is not a file', async (t) => {
  const { client, wx, wire, clock, upstream } = await startPhone(t, {
    handler: (_req, res) => res.writeHead(200, { 'content-type': 'image/png' }).end('PNG bytes')
  })
  const answer = await client.downloadFile({ url: '/api/photo' })
  t.equal(wx.files.get(answer.tempFilePath)?.toString(), 'PNG bytes')
  t.ok(upstream.seen[0]?.headers['x-openid'])
  clock.advance(3 * HOUR)
  const kept = await client.downloadFile({ url: '/api/photo', filePath: 'wxfile://usr/kept.png' })
  t.equal(kept.statusCode, 200)
  t.equal(wx.files.get('wxfile://usr/kept.png')?.toString(), 'PNG bytes')
  t.equal(wire.count('/auth/refresh'), 1)
  t.match(await rejection(client.downloadFile({ url: '/nowhere' })), { code: 'no_route', status: 404 })
  let lost = 0
  wire.fault = () => (lost++ === 0 ? 'lose-answer' : null)
  t.equal((await client.downloadFile({ url: '/api/photo' })).statusCode, 200, 'reading twice is harmless')
})

test('requests, uploads and downloads together keep to ten at a time', async (t) => {
  const { client, wx } = await startPhone(t)
  wx.files.set('a', Buffer.from('a'))
  await Promise.all(
    times(15, (index) => [
      client.request({ url: `/api/${index}` }),
      client.uploadFile({ url: '/api/up', filePath: 'a', name: 'a' }),
      client.downloadFile({ url: '/api/down' })
    ]).flat()
  )
  t.equal(wx.peak, 10)
  t.equal(wx.calls.login, 1)
})

/** Opens a socket, sends `hello`, and returns the answer. */
function greet(client: Client, options: Partial<SocketOptions> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = client.connectSocket({ url: '/ws/room?x=1', ...options })
    socket.onOpen(() => socket.send({ data: 'hello' }))
    socket.onMessage(({ data }) => {
      resolve(String(data))
      socket.close()
    })
    socket.onError((error) => reject(error))
  })
}

async function startSocketPhone(t: Test) {
  const echo: EchoSocket = await startEchoSocket(t)
  const phone = await startPhone(t, {
    config: {
      upstreams: { app: { targets: [{ url: echo.url }] } },
      routes: [
        { path: '/ws', upstream: 'app' },
        { path: '/open', upstream: 'app', auth: 'public' }
      ]
    }
  })
  return { ...phone, echo }
}

test('a socket carries the token in its handshake, not in its address', async (t) => {
  const { client, wx, echo } = await startSocketPhone(t)
  const told: string[] = []
  const callbacks = { success: () => void told.push('success'), complete: () => void told.push('complete') }
  t.equal(await greet(client, callbacks), 'hello')
  t.same(told, ['success', 'complete'])
  t.ok(echo.seen[0]?.['x-openid'])
  t.equal(echo.seen[0]?.authorization, undefined)
  const [sent] = wx.sent.filter(({ kind }) => kind === 'connectSocket')
  t.match(sent, { url: /^ws:\/\/127\.0\.0\.1:\d+\/ws\/room\?x=1$/, header: { Authorization: /^Bearer / } })
  t.equal(await greet(client, { url: '/open/room', auth: 'public' }), 'hello')
  t.equal(echo.seen[1]?.['x-openid'], undefined)
})

test('a handshake that fails for its token is tried once more with a new one', async (t) => {
  const { client, wire, wx, clock, gateway } = await startSocketPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  t.equal(await greet(client), 'hello', 'expired')
  t.equal(wire.count('/auth/refresh'), 1)
  const { access_token } = await gateway.login('alice')
  await gateway.call('/auth/logout', { method: 'POST', token: access_token, body: '{"all":true}' })
  t.equal(await greet(client), 'hello', 'session ended')
  t.equal(wx.calls.login, 2)
  t.equal(wx.sent.filter(({ kind }) => kind === 'connectSocket').length, 4)
  const failure = greet(client, { url: '/nowhere' }).catch((error) => error)
  t.match(await failure, { errMsg: /^connectSocket:fail/ })
  t.equal(wx.sent.filter(({ kind }) => kind === 'connectSocket').length, 5, 'the token was not the cause')
})

test('a sixth socket is refused, and a place is free again when one closes', async (t) => {
  const { client } = await startSocketPhone(t)
  await client.login()
  const sockets = await Promise.all(
    times(
      5,
      () =>
        new Promise<ReturnType<Client['connectSocket']>>((resolve) => {
          const socket = client.connectSocket({ url: '/ws/a' })
          socket.onOpen(() => resolve(socket))
        })
    )
  )
  const events: unknown[] = []
  await new Promise<void>((resolve) => {
    const sixth = client.connectSocket({ url: '/ws/a', fail: (error) => events.push(error) })
    sixth.onError((error) => events.push(error))
    sixth.onClose(() => resolve())
  })
  t.match(events, [{ code: 'too_many_sockets' }, { code: 'too_many_sockets' }])
  const [first] = sockets
  const closed = new Promise<number>((resolve) => first?.onClose(({ code }) => resolve(code)))
  first?.send({ data: 'bye' })
  t.equal(await closed, 1000)
  t.equal(await greet(client), 'hello')
  for (const socket of sockets) socket.close()
})

test('a socket that is closed before it is open stays closed', async (t) => {
  const { client, echo } = await startSocketPhone(t)
  const socket = client.connectSocket({ url: '/ws/a' })
  const failed = new Promise((resolve) => socket.send({ data: 'x', fail: ({ errMsg }) => resolve(errMsg) }))
  t.match(await failed, /^sendSocketMessage:fail/)
  const closed = new Promise<number>((resolve) => socket.onClose(({ code }) => resolve(code)))
  socket.close()
  t.equal(await closed, 1000)
  await client.login()
  await idle()
  t.equal(echo.seen.length, 0)
})

test('a socket that is closed at once leaves its place to others', async (t) => {
  const { client } = await startSocketPhone(t)
  await client.login()
  for (const socket of times(5, () => client.connectSocket({ url: '/ws/a' }))) socket.close()
  t.equal(await greet(client), 'hello')
})
