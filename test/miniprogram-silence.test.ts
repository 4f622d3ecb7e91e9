/** The mini-program client when wx never calls back: every call ends, and the next one starts
 *  again. */
import { type Test, test } from 'tap'
import type { WxProgress } from '../miniprogram/miniprogram_dist/index.d.ts'
import { rejection, times } from './support/phone.ts'
import { createStubWx, gatewayAnswer, type StubWx, startStubClient } from './support/wx-stub.ts'

/** The outcome of a call, and the milliseconds that it took. */
async function ending(run: ReturnType<typeof startStubClient>, call: () => Promise<unknown>) {
  const before = run.timers.now
  const refused = await rejection(run.timers.until(call()))
  return { ...refused, ms: run.timers.now - before }
}

function count(wx: StubWx, call: string): number {
  return wx.calls.filter((path) => path === call).length
}

test('a wx.login that never calls back ends the waiting calls, and the next call logs in again', async (t) => {
  const wx = createStubWx()
  const { login } = wx
  const late: (() => void)[] = []
  wx.login = (options) => {
    wx.calls.push('login')
    late.push(() => options.success?.({ code: 'late', errMsg: 'login:ok' }))
  }
  const run = startStubClient(wx)
  const waiting = times(5, () => rejection(run.client.request({ url: '/api/a' })))
  await run.timers.advance(11_000)
  for (const refused of await Promise.all(waiting))
    t.match(refused, { code: 'login_failed', errMsg: 'login:fail timeout' })
  t.equal(count(wx, 'login'), 1)
  wx.login = login
  t.equal((await run.timers.until(run.client.request({ url: '/api/a' }))).statusCode, 200)
  for (const answer of late) answer()
  t.equal((await run.timers.until(run.client.request({ url: '/api/a' }))).statusCode, 200)
  t.equal(count(wx, '/auth/login'), 1, 'a late code is not used')
})

test('a wx.checkSession that never calls back leaves the check to the gateway', async (t) => {
  const wx = createStubWx()
  wx.checkSession = () => void wx.calls.push('checkSession')
  const run = startStubClient(wx)
  const call = () => run.client.openData({ encryptedData: 'AAAA', iv: 'AAAA' })
  t.match(await ending(run, call), { ms: 5000, code: undefined })
  t.equal(count(wx, '/auth/open-data'), 1)
  t.equal(count(wx, 'login'), 1)
})

test('a login request that never calls back is repeated once and ends', async (t) => {
  const run = startStubClient()
  const { wx, client, timers } = run
  wx.answer = (_request, path) => (path === '/auth/login' ? null : gatewayAnswer(path))
  t.match(await ending(run, () => client.request({ url: '/api/a' })), { code: 'timeout', ms: 18_300 })
  t.equal(count(wx, '/auth/login'), 2)
  t.equal(count(wx, '/api/a'), 0)
  wx.answer = (_request, path) => gatewayAnswer(path)
  t.equal((await timers.until(client.request({ url: '/api/a' }))).statusCode, 200)
  t.equal(count(wx, '/auth/login'), 3)
})

test('a refresh that never calls back ends, and the next call refreshes again', async (t) => {
  const run = startStubClient()
  const { wx, client, timers, program } = run
  await timers.until(client.login())
  program.clockError = 3 * 3_600_000
  wx.answer = (_request, path) => (path === '/auth/refresh' ? null : gatewayAnswer(path))
  t.match(await ending(run, () => client.request({ url: '/api/a' })), { code: 'timeout', ms: 18_300 })
  t.ok(client.currentUser(), 'the session stays')
  wx.answer = (_request, path) => gatewayAnswer(path)
  t.equal((await timers.until(client.request({ url: '/api/a' }))).statusCode, 200)
  t.equal(count(wx, 'login'), 1)
  t.equal(count(wx, '/auth/refresh'), 3)
})

test('a request, upload or download that never calls back ends after its timeout and releases its place', async (t) => {
  const run = startStubClient()
  const { wx, client, timers } = run
  await timers.until(client.login())
  wx.answer = (_request, path) => (path === '/api/silent' ? null : gatewayAnswer(path))
  const url = '/api/silent'
  t.match(await ending(run, () => client.request({ url, method: 'POST', timeout: 3000 })), {
    code: 'timeout',
    ms: 4000
  })
  t.match(await ending(run, () => client.request({ url, timeout: 3000 })), { code: 'timeout', ms: 8300 })
  t.match(await ending(run, () => client.request({ url, method: 'POST' })), { code: 'timeout', ms: 120_000 })
  t.match(await ending(run, () => client.uploadFile({ url, filePath: 'a', name: 'a', timeout: 1 })), {
    code: 'timeout'
  })
  t.match(await ending(run, () => client.downloadFile({ url, timeout: 1 })), { code: 'timeout' })
  const silent = times(10, () => rejection(client.request({ url, method: 'POST', timeout: 3000 })))
  t.equal((await timers.until(client.request({ url: '/api/a' }))).statusCode, 200, 'ten silent calls do not delay it')
  await Promise.all(silent)
})

test('an upload that makes progress is not ended', async (t) => {
  const run = startStubClient()
  const { wx, client, timers } = run
  await timers.until(client.login())
  const listeners: ((progress: WxProgress) => void)[] = []
  let end = () => {}
  wx.uploadFile = ({ success }) => {
    end = () => success?.({ data: '', statusCode: 200, errMsg: 'uploadFile:ok' })
    return { abort() {}, onProgressUpdate: (listener) => void listeners.push(listener) }
  }
  const upload = client.uploadFile({ url: '/api/up', filePath: 'a', name: 'a' })
  for (let progress = 1; progress <= 10; progress++) {
    await timers.advance(100_000)
    for (const listener of listeners) listener({ progress })
  }
  end()
  t.equal((await upload).statusCode, 200)
})

test('a file that is never read leaves the status of a refused download', async (t) => {
  const run = startStubClient()
  const { wx, client, timers } = run
  await timers.until(client.login())
  wx.answer = () => ({ statusCode: 404 })
  wx.getFileSystemManager = () => ({ readFile() {} })
  t.equal((await timers.until(client.downloadFile({ url: '/api/a' }))).statusCode, 404)
})

async function connect(t: Test, run: ReturnType<typeof startStubClient>) {
  const socket = run.client.connectSocket({ url: '/ws', timeout: 2000 })
  const events: string[] = []
  socket.onError(({ errMsg }) => events.push(errMsg))
  socket.onClose(({ code }) => events.push(String(code)))
  await run.timers.advance(4000)
  t.same(events, ['connectSocket:fail timeout', '1006'])
}

test('a handshake that never calls back ends and releases its place', async (t) => {
  const run = startStubClient()
  for (let round = 0; round < 7; round++) await connect(t, run)
  t.equal(count(run.wx, 'connectSocket'), 7)
})

test('a socket whose close is never reported is still closed', async (t) => {
  const run = startStubClient()
  const { wx, client, timers } = run
  wx.connectSocket = () => {
    const ignore = () => {}
    const onOpen = (listener: (result: { header: Record<string, string> }) => void) =>
      void setImmediate(() => listener({ header: {} }))
    return { send: ignore, close: ignore, onOpen, onMessage: ignore, onError: ignore, onClose: ignore }
  }
  for (let round = 0; round < 7; round++) {
    const socket = client.connectSocket({ url: '/ws' })
    const closes: number[] = []
    socket.onClose(({ code }) => closes.push(code))
    await timers.advance(100)
    socket.close({ code: 1001 })
    await timers.advance(5000)
    t.same(closes, [1001])
  }
})
