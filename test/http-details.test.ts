/** Answers that a person or a browser sees: GET / and Server-Timing. */
import { test } from 'tap'
import { buildTestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'

test('GET / says what answers, on the service listener and on an edge without a route for it', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  for (const call of [gateway.call, gateway.service]) {
    const response = await call('/')
    t.equal(response.status, 200)
    const text = await response.text()
    t.notOk(text.includes('\n'))
    t.match(JSON.parse(text), { name: 'wxgate', about: /mini-programs/, documentation: /^https:\/\// })
    const refused = await call('/', { method: 'POST' })
    t.equal(refused.status, 405)
    t.match(refused.headers.get('allow'), /GET/)
    t.equal((await call('/other')).status, 404)
  }
  t.match(
    await gateway.raw('GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n', {
      port: gateway.servicePort
    }),
    ' 403 '
  )
  t.equal(upstream.seen.length, 0)
})

test('a route for / takes it, and a reload gives it back', async (t) => {
  const upstream = await startUpstream(t)
  const config = { routes: [{ path: '/', methods: ['GET'], upstream: 'app', auth: 'required' }] }
  const gateway = await buildTestGateway(t, upstream.url, { config })
  t.match(await (await gateway.call('/')).json(), { code: 'token_missing' })
  const routes = gateway.config.routes.map((route) => ({ ...route, path: '/api' }))
  await gateway.gateway.reload({ ...gateway.config, routes })
  t.match(await (await gateway.call('/')).json(), { name: 'wxgate' })
})

test('Server-Timing tells the time in the gateway and in the backend, where it is asked for', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(200, { 'server-timing': 'db;dur=3' }).end())
  const gateway = await buildTestGateway(t, upstream.url)
  t.equal((await gateway.call('/public/x')).headers.get('server-timing'), 'db;dur=3')
  const server = { ...gateway.config.server, serverTiming: true }
  await gateway.gateway.reload({ ...gateway.config, server })
  const { headers } = await gateway.call('/public/x')
  t.match(headers.get('server-timing'), /^db;dur=3, wxgate;dur=\d+\.\d, upstream;dur=\d+\.\d$/)
  t.equal((await gateway.call('/api/x')).headers.get('server-timing'), null, 'no answer of a backend')
})
