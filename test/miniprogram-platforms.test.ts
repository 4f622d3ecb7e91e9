/** The mini-program client and the objects that replace `wx`: WeChat's own, Taro, uni-app, and
 *  none. */
import { test } from 'tap'
import type { ClientOptions, Wx, WxSocketTask } from '../miniprogram/miniprogram_dist/index.d.ts'
import { createTaro, createUni } from './support/frameworks.ts'
import { startClient } from './support/mini-program.ts'
import { rejection } from './support/phone.ts'
import { idle } from './support/timers.ts'
import { BASE, createStubWx, GRANT, gatewayAnswer, startStubClient } from './support/wx-stub.ts'

test('the promises that Taro returns besides its callbacks are never left unhandled', async (t) => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  const wx = createStubWx()
  const { client, timers } = startStubClient(wx, createTaro(wx))
  t.equal((await timers.until(client.request({ url: '/api/a' }))).statusCode, 200)
  wx.answer = () => ({ errMsg: 'request:fail net::ERR_FAILED' })
  const file = { url: '/api/a', filePath: 'a', name: 'a' }
  for (const call of [
    () => client.request({ url: '/api/a' }),
    () => client.request({ url: '/api/a', method: 'POST', data: {} }),
    () => client.uploadFile(file),
    () => client.downloadFile(file),
    () => client.login({ force: true })
  ]) {
    t.match(await rejection(timers.until<unknown>(call())), { code: 'network' })
  }
  t.same(await timers.until(client.logout()), { ended: false })
  await idle()
  t.same(unhandled, [])
})

test('interceptors of Taro see the requests of the client', async (t) => {
  const wx = createStubWx()
  const taro = createTaro(wx)
  const seen: object[] = []
  taro.addInterceptor((chain) => {
    seen.push(chain.requestParams)
    return chain.proceed(chain.requestParams)
  })
  const { client, timers } = startStubClient(wx, taro)
  t.equal((await timers.until(client.request({ url: '/api/a' }))).statusCode, 200)
  t.match(seen, [{ url: `${BASE}/auth/login` }, { url: `${BASE}/api/a` }])
})

test('a call of uni-app whose interceptor waits is answered, aborted and ended like any other', async (t) => {
  const wx = createStubWx()
  const uni = createUni(wx)
  const { client, timers } = startStubClient(wx, uni)
  await timers.until(client.login())
  let letGo: () => void = () => {}
  const wait = () => uni.addInterceptor('request', { invoke: () => new Promise<void>((resolve) => (letGo = resolve)) })
  wait()
  const answered = client.request({ url: '/api/a' })
  await timers.advance(10)
  letGo()
  t.equal((await timers.until(answered)).statusCode, 200)

  wx.answer = () => null
  let aborts = 0
  const { request } = wx
  wx.request = (options) => ({ ...request(options), abort: () => void aborts++ })
  const uniOfSilence = createUni(wx)
  uniOfSilence.addInterceptor('request', { invoke: () => new Promise<void>((resolve) => (letGo = resolve)) })
  const silent = startStubClient(wx, uniOfSilence)
  const aborted = silent.client.request({ url: '/api/a' })
  await silent.timers.advance(10)
  aborted.abort()
  t.match(await rejection(aborted), { code: 'aborted' })
  letGo()
  await idle()
  t.equal(aborts, 1, 'the task that comes after the abort is aborted')
  t.match(await rejection(silent.timers.until(silent.client.request({ url: '/api/a', timeout: 500 }))), {
    code: 'timeout'
  })
})

test('with callbacks the promise of a call needs no handler', async (t) => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  const { wx, client, timers } = startStubClient()
  wx.answer = () => ({ errMsg: 'request:fail net::ERR_FAILED' })
  const codes: string[] = []
  await timers.until(
    new Promise<void>((resolve) => {
      client.request({ url: '/api/a', fail: ({ code }) => codes.push(code), complete: () => resolve() })
    })
  )
  await idle()
  t.same(codes, ['network'])
  t.same(unhandled, [])
})

test('a socket task in a promise, as with Taro, works', async (t) => {
  const wx = createStubWx()
  const events: string[] = []
  const task: WxSocketTask = {
    send: ({ data }) => void events.push(`send ${data}`),
    close: () => void events.push('close'),
    onOpen: (listener) => void setImmediate(() => listener({ header: {} })),
    onMessage: (listener) => void setImmediate(() => setImmediate(() => listener({ data: 'hello' }))),
    onError() {},
    onClose() {}
  }
  let give: (task: WxSocketTask) => void = () => {}
  wx.connectSocket = () => new Promise<WxSocketTask>((resolve) => (give = resolve))
  const { client, timers } = startStubClient(wx)
  const socket = client.connectSocket({ url: '/ws' })
  socket.onOpen(() => socket.send({ data: 'hi' }))
  socket.onMessage(({ data }) => events.push(`message ${data}`))
  await timers.advance(10)
  give(task)
  await timers.advance(10)
  t.same(events, ['send hi', 'message hello'])
  const closed = client.connectSocket({ url: '/ws' })
  await timers.advance(10)
  closed.close()
  give(task)
  await timers.advance(10)
  t.equal(events[2], 'close', 'a task that comes after the close is closed')
  wx.connectSocket = () => Promise.reject({ errMsg: 'connectSocket:fail' })
  const failures: string[] = []
  client.connectSocket({ url: '/ws' }).onError(({ errMsg }) => failures.push(errMsg))
  await timers.advance(10)
  t.same(failures, ['connectSocket:fail'])
})

test('a wx that throws, or returns no task, is a failure of the call', async (t) => {
  const { wx, client, timers } = startStubClient()
  await timers.until(client.login())
  const refuse = () => {
    throw new Error('parameter error')
  }
  wx.request = refuse
  wx.connectSocket = refuse
  t.match(await rejection(timers.until(client.request({ url: '/api/a' }))), {
    code: 'network',
    errMsg: 'request:fail Error: parameter error'
  })
  const failures: string[] = []
  client.connectSocket({ url: '/ws' }).onError(({ errMsg }) => failures.push(errMsg))
  await timers.advance(10_000)
  t.same(failures, ['connectSocket:fail Error: parameter error'])
})

test('options that cannot work are one clear error when the client is made', async (t) => {
  const { wx, program } = startStubClient()
  const createClient = program.createClient as (options?: unknown) => unknown
  const { request: _request, connectSocket: _connectSocket, ...incomplete } = wx
  for (const [options, detail] of [
    [undefined, /needs the gateway's address/],
    [null, /needs the gateway's address/],
    [{}, /needs the gateway's address/],
    [BASE, /needs the gateway's address/],
    [{ baseUrl: 5 }, /needs the gateway's address/],
    [{ baseUrl: BASE, wx: {} }, /no function login, checkSession, request, /],
    [{ baseUrl: BASE, wx: 'wx' }, /no function login/],
    [{ baseUrl: BASE, wx: incomplete }, /no function request, connectSocket\.$/]
  ] as const) {
    t.throws(() => createClient(options), { name: 'WxgateError', code: 'invalid_options', detail })
  }
  t.throws(() => createClient({ baseUrl: 'gateway' }), { code: 'invalid_url', detail: /must look like/ })
  t.same(wx.calls, [])
})

test('without a global wx the error names the option that replaces it', async (t) => {
  const program = startClient(undefined)
  t.throws(() => program.createClient({ baseUrl: BASE }), { code: 'invalid_options', detail: /no global wx/ })
  const wx: Wx = createStubWx()
  const options: ClientOptions = { baseUrl: BASE, wx }
  const client = program.createClient(options)
  t.equal((await client.login()).id, 'u_1')
  t.match(gatewayAnswer('/api/a'), { statusCode: 200 })
})

test('with prefetch: true WeChat gets each new access token, and a wx without the function changes nothing', async (t) => {
  const wx = createStubWx()
  const kept: string[] = []
  let grants = 0
  wx.answer = (_request, path) => {
    if (path === '/auth/login') return { statusCode: 200, data: { ...GRANT, access_token: `access${++grants}` } }
    return gatewayAnswer(path)
  }
  wx.setBackgroundFetchToken = ({ token, fail }) => {
    kept.push(token)
    setImmediate(() => fail?.({ errMsg: 'setBackgroundFetchToken:fail' }))
  }
  const { program } = startStubClient(wx)
  const client = program.createClient({ baseUrl: BASE, prefetch: true })
  await client.request({ url: '/api/x' })
  await client.request({ url: '/api/x' })
  await client.login({ force: true })
  t.same(kept, ['access1', 'access2'])
  const plain = createStubWx()
  await startStubClient(plain).program.createClient({ baseUrl: BASE, prefetch: true }).request({ url: '/api/x' })
  t.same(plain.calls, ['login', '/auth/login', '/api/x'])
})
