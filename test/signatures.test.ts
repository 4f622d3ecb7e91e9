import { test } from 'tap'
import { loginStateSignature, paySignature } from '../src/platforms/wechat/signatures.ts'
import { vector } from './support/wechat-vectors.ts'

for (const id of [
  'login-state-signature-post',
  'login-state-signature-empty-derived',
  'login-state-signature-empty-derived-2',
  'xpay-signature'
]) {
  test(`the login-state signature agrees with the vector ${id}`, async (t) => {
    const signature = loginStateSignature(vector(id, 'input', 'key_utf8'), vector(id, 'input', 'data'))
    t.equal(signature, vector(id, 'expected', 'hex'))
  })
}

test('pay_sig agrees with the published vector', async (t) => {
  const id = 'xpay-pay_sig'
  const data = vector(id, 'input', 'data')
  const uri = data.slice(0, data.indexOf('&'))
  const body = data.slice(data.indexOf('&') + 1)
  t.equal(paySignature(vector(id, 'input', 'key_utf8'), uri, body), vector(id, 'expected', 'hex'))
})

test('a signature covers exactly the bytes given, as text or as bytes', async (t) => {
  const key = 'o0q0otL8aEzpcZL/FT9WsQ=='
  const body = '{"名":"值", "n": 1}'
  t.equal(loginStateSignature(key, body), loginStateSignature(key, Buffer.from(body)))
  t.not(loginStateSignature(key, body), loginStateSignature(key, JSON.stringify(JSON.parse(body))))
  t.equal(paySignature(key, '/xpay/x', body), paySignature(key, '/xpay/x', Buffer.from(body)))
})
