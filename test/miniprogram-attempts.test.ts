/** The random text that the mini-program client sends beside a login code and a refresh token. */
import { test } from 'tap'
import { HOUR, type Phone, rejection, startPhone } from './support/phone.ts'

/** The `attempt` of each request to this path. */
function attempts({ wire }: Phone, path: string): string[] {
  return wire.requests.filter((seen) => seen.path === path).map(({ body }) => String(JSON.parse(body).attempt))
}

test('a repeated login carries the same attempt, and another code another one', async (t) => {
  const phone = await startPhone(t)
  let lost = 0
  phone.wire.fault = ({ path }) => (path === '/auth/login' && lost++ === 0 ? 'lose-answer' : null)
  await phone.client.login()
  await phone.client.login({ force: true })
  const [first, repeated, another] = attempts(phone, '/auth/login')
  t.match(first, /^[A-Za-z0-9]{16,64}$/)
  t.equal(repeated, first)
  t.match(another, /^[A-Za-z0-9]{16,64}$/)
  t.not(another, first)
})

test('a repeated refresh carries the same attempt, after a restart too, and the next refresh another one', async (t) => {
  const phone = await startPhone(t)
  await phone.client.login()
  phone.clock.advance(3 * HOUR)
  phone.wire.fault = ({ path }) => (path === '/auth/refresh' ? 'lose-answer' : null)
  t.match(await rejection(phone.client.request({ url: '/api/a' })), { code: 'network' })
  phone.wire.fault = () => null
  const again = phone.restart()
  t.equal((await again.request({ url: '/api/a' })).statusCode, 200)
  t.equal(phone.wx.calls.login, 1, 'the gateway accepted it as a repeat')
  phone.clock.advance(3 * HOUR)
  await again.request({ url: '/api/a' })
  const [first, second, afterRestart, next] = attempts(phone, '/auth/refresh')
  t.match(first, /^[A-Za-z0-9]{16,64}$/)
  t.same([second, afterRestart], [first, first])
  t.not(next, first)
})
