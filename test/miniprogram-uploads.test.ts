/** The mini-program client when the connection breaks while a body is being sent: a refused
 *  token is renewed, and no call that may have taken effect is sent twice. */
import { type Test, test } from 'tap'
import { HOUR, type Phone, rejection, startPhone } from './support/phone.ts'

async function start(t: Test): Promise<Phone> {
  const phone = await startPhone(t)
  phone.wx.files.set('wxfile://a.png', Buffer.from('PNG bytes'))
  await phone.client.login()
  return phone
}

/** The first call of this path is cut before its answer. */
function cutFirst({ wire }: Phone, path: string, how: 'lose-request' | 'lose-answer' = 'lose-request') {
  wire.fault = (seen) => (seen.path === path && wire.count(path) === 1 ? how : null)
}

async function endElsewhere({ gateway }: Phone): Promise<void> {
  const { access_token } = await gateway.login('alice')
  await gateway.call('/auth/logout', { method: 'POST', token: access_token, body: '{"all":true}' })
}

function upload({ client }: Phone) {
  return client.uploadFile({ url: '/api/up', filePath: 'wxfile://a.png', name: 'photo' })
}

test('an upload with an expired token whose refusal was cut is sent again with a new token', async (t) => {
  const phone = await start(t)
  phone.clock.advance(3 * HOUR)
  cutFirst(phone, '/api/up')
  t.equal((await upload(phone)).statusCode, 200)
  t.equal(phone.wire.count('/api/up'), 2)
  t.equal(phone.wire.count('/auth/refresh'), 1)
  t.equal(phone.wx.calls.login, 1)
  t.equal(phone.upstream.seen.length, 1)
})

test('an upload with the token of an ended session whose refusal was cut is sent again after a login', async (t) => {
  const phone = await start(t)
  await endElsewhere(phone)
  cutFirst(phone, '/api/up')
  t.equal((await upload(phone)).statusCode, 200)
  t.equal(phone.wire.count('/api/up'), 2)
  t.equal(phone.wx.calls.login, 2)
  t.equal(phone.upstream.seen.length, 1)
})

test('an upload that the gateway may have accepted is never sent twice', async (t) => {
  const phone = await start(t)
  cutFirst(phone, '/api/up', 'lose-answer')
  t.match(await rejection(upload(phone)), { code: 'network' }, 'its token is valid')
  t.equal(phone.upstream.seen.length, 1)

  const { uploadFile } = phone.wx
  phone.wx.uploadFile = (options) => {
    const task = uploadFile(options)
    return task && { ...task, onProgressUpdate: (listener) => listener({ progress: 100 }) }
  }
  phone.wire.requests.length = 0
  phone.clock.advance(3 * HOUR)
  cutFirst(phone, '/api/up')
  t.match(await rejection(upload(phone)), { code: 'network' }, 'the whole body was sent')
  t.equal(phone.wire.count('/api/up'), 1)

  phone.wx.uploadFile = (options) => {
    phone.program.clockError = 3 * HOUR
    return uploadFile(options)
  }
  phone.wire.requests.length = 0
  t.match(await rejection(upload(phone)), { code: 'network' }, 'the token may have expired on the way')
  t.equal(phone.wire.count('/api/up'), 1)
})

test('a POST whose refusal was cut is sent again only when the token had expired before', async (t) => {
  const phone = await start(t)
  const post = () => phone.client.request({ url: '/api/a', method: 'POST', data: { n: 1 } })
  phone.clock.advance(3 * HOUR)
  cutFirst(phone, '/api/a')
  t.equal((await post()).statusCode, 200)
  t.equal(phone.wire.count('/api/a'), 2)
  t.equal(phone.upstream.seen.length, 1)
  await endElsewhere(phone)
  phone.wire.requests.length = 0
  t.match(await rejection(post()), { code: 'network' }, 'the session may have ended after the call was accepted')
  t.equal(phone.wire.count('/api/a'), 1)
  t.equal((await post()).statusCode, 200)
})

test('a PUT whose refusal was cut is sent again with a new token', async (t) => {
  const phone = await start(t)
  await endElsewhere(phone)
  cutFirst(phone, '/api/a')
  t.equal((await phone.client.request({ url: '/api/a', method: 'PUT', data: { n: 1 } })).statusCode, 200)
  t.equal(phone.wire.count('/api/a'), 2)
  t.equal(phone.wx.calls.login, 2)
})

test('a lost connection whose token cannot be checked stays a lost connection', async (t) => {
  const phone = await start(t)
  phone.wire.fault = () => 'lose-request'
  t.match(await rejection(upload(phone)), { code: 'network' })
  t.equal(phone.wire.count('/api/up'), 1)
})
