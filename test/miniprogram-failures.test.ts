/** The mini-program client and WeChat's failures: each gets the code of its cause. */
import { test } from 'tap'
import { rejection } from './support/phone.ts'
import { gatewayAnswer, startStubClient } from './support/wx-stub.ts'

const LOST = [
  'request:fail errcode:-103 cronet_error_code:-103 error_msg:net::ERR_CONNECTION_ABORTED',
  'request:fail errcode:-3 cronet_error_code:-3 error_msg:net::ERR_ABORTED',
  'request:fail errcode:-100 cronet_error_code:-100 error_msg:net::ERR_CONNECTION_CLOSED',
  'request:fail net::ERR_ABORTED',
  'request:fail Software caused connection abort',
  'request:fail java.net.SocketException: Software caused connection abort',
  'request:fail recvfrom failed: ECONNABORTED (Software caused connection abort)',
  'request:fail The operation couldn\u2019t be completed. Software caused connection abort',
  'request:fail connect ECONNABORTED 10.0.0.1:443',
  'request:fail Connection aborted',
  'request:fail java.io.InterruptedIOException: thread interrupted',
  'request:fail ssl handshake interrupted by peer',
  'request:fail 网络连接已中断。',
  'request:fail abort',
  'request:fail aborted',
  'request:fail socket hang up',
  ''
]

const TIMED_OUT = [
  { errMsg: 'request:fail timeout' },
  { errMsg: 'request:fail abort statusCode:-1 timeout' },
  { errMsg: 'request:fail The request timed out.' },
  { errMsg: 'request:fail errcode:-118 cronet_error_code:-118 error_msg:net::ERR_CONNECTION_TIMED_OUT' },
  { errMsg: 'request:fail 请求超时。' },
  { errMsg: 'request:fail 請求逾時' },
  { errMsg: 'request:fail', errno: 5 }
]

const INTERRUPTED = [
  { errMsg: 'request:fail interrupted' },
  { errMsg: 'request:fail network interrupted error' },
  { errMsg: 'request:fail unknown', errno: 600003 }
]

for (const [code, failures] of [
  ['network', LOST.map((errMsg) => ({ errMsg, errno: 600001 }))],
  ['timeout', TIMED_OUT],
  ['interrupted', INTERRUPTED]
] as const) {
  test(`a failure without an answer is ${code} by its cause, and a read is repeated once`, async (t) => {
    for (const failure of failures) {
      const { client, wx, timers } = startStubClient()
      await timers.until(client.login())
      let asked = 0
      wx.answer = (_request, path) => (asked++ === 0 ? failure : gatewayAnswer(path))
      const refused = await rejection(timers.until(client.request({ url: '/api/a', method: 'POST' })))
      t.match(refused, { code, ...failure }, failure.errMsg)
      asked = 0
      const answer = await timers.until(client.request({ url: '/api/a' }))
      t.equal(answer.statusCode, 200, failure.errMsg)
      t.equal(asked, 2)
    }
  })
}

test('a call is aborted only by its own abort(), whatever WeChat reports', async (t) => {
  const { client, wx, timers } = startStubClient()
  await timers.until(client.login())
  wx.answer = () => ({ errMsg: 'request:fail errcode:-103 cronet_error_code:-103' })
  const call = client.request({ url: '/api/a' })
  const failure = rejection(call)
  call.abort()
  t.match(await failure, { code: 'aborted', status: 0, errMsg: 'request:fail abort' })
  await timers.advance(60_000)
  t.equal(wx.calls.filter((path) => path === '/api/a').length, 0, 'no request was sent, then or later')
})

test('an abort takes effect at once, while the call waits for a login or for wx', async (t) => {
  const { client, wx, timers } = startStubClient()
  wx.answer = () => null
  const waiting = client.request({ url: '/api/a' })
  const refused = rejection(waiting)
  await timers.advance(1000)
  waiting.abort()
  t.match(await refused, { code: 'aborted' })
  t.equal(timers.now, 1000)
  wx.answer = (_request, path) => (path === '/api/b' ? null : gatewayAnswer(path))
  await timers.until(client.login())
  const silent = client.uploadFile({ url: '/api/b', filePath: 'wxfile://a', name: 'a' })
  const ended = rejection(silent)
  await timers.advance(10)
  silent.abort()
  t.match(await ended, { code: 'aborted', errMsg: 'uploadFile:fail abort' })
  silent.abort()
})

test('a call that was aborted after its answer keeps the answer', async (t) => {
  const { client, timers } = startStubClient()
  const call = client.request({ url: '/api/a' })
  t.equal((await timers.until(call)).statusCode, 200)
  call.abort()
  t.equal((await call).statusCode, 200)
})
