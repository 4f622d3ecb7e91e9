import { test } from 'tap'
import { createOrdersService } from '../examples/orders/server.ts'
import { buildTestGateway } from './support/gateway.ts'

test('two users log in, order through the gateway, and each sees only their own orders', async (t) => {
  const orders = createOrdersService({ file: ':memory:' })
  const port = await orders.listen(0, '127.0.0.1')
  t.teardown(() => orders.close())
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`, {
    config: {
      routes: [
        { path: '/api/orders', upstream: 'app', stripPrefix: '/api' },
        { path: '/api/products', upstream: 'app', auth: 'public', methods: ['GET'], stripPrefix: '/api' }
      ]
    }
  })
  const alice = await gateway.login('alice')
  const bob = await gateway.login('bob')
  t.equal(alice.status, 200)
  t.equal(alice.user.is_new, true)
  t.not(alice.user.id, bob.user.id)
  t.notOk('openid' in alice || 'session_key' in alice)

  const order = async (token: string, product: string) =>
    gateway.call('/api/orders', { method: 'POST', token, body: JSON.stringify({ product_id: product }) })
  t.equal((await order(alice.access_token, 'tea-250')).status, 201)
  t.equal((await order(bob.access_token, 'cup-01')).status, 201)

  const listOf = async (token: string) => {
    const { orders: list } = (await (await gateway.call('/api/orders', { token })).json()) as {
      orders: { product_id: string }[]
    }
    return list.map((entry) => entry.product_id)
  }
  t.same(await listOf(alice.access_token), ['tea-250'])
  t.same(await listOf(bob.access_token), ['cup-01'])

  const forged = await gateway.call('/api/orders', { headers: { 'x-openid': 'oVICTIM' } })
  t.equal(forged.status, 401)
  t.match(await forged.json(), { code: 'token_missing', action: 'login' })
  t.equal((await gateway.call('/api/products')).status, 200)
})
