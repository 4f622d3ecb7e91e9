import { networkInterfaces } from 'node:os'
import { test } from 'tap'
import { buildTestGateway, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'

async function ask(gateway: TestGateway, path: string, host: string | null, headers = ''): Promise<string> {
  const version = host === null ? '1.0' : '1.1'
  const line = host === null ? '' : `Host: ${host}\r\n`
  const request = `GET ${path} HTTP/${version}\r\n${line}Connection: close\r\n${headers}\r\n`
  return gateway.raw(request, { port: gateway.servicePort })
}

const build = (t: Parameters<typeof buildTestGateway>[0], service: Record<string, unknown> = {}) => {
  const tokens = [{ name: 'test', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'admin'] }]
  return buildTestGateway(t, 'http://127.0.0.1:9', {
    config: { service: { host: '127.0.0.1', port: 2, tokens, ...service } }
  })
}

test('the service listener refuses a foreign Host, so that no web page can read its answers', async (t) => {
  const gateway = await build(t)
  const foreign = [
    'evil.example',
    'evil.example:9090',
    `evil.example:${gateway.servicePort}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.7',
    '0.0.0.0',
    '[::]',
    '[2001:db8::1]:9090',
    '2130706433',
    '0x7f.1'
  ]
  const credential = `Authorization: Bearer ${SERVICE_TOKEN}\r\n`
  for (const host of foreign) {
    for (const path of ['/metrics', '/openapi.json', '/openapi/edge.json', '/openapi/service.json']) {
      const answer = await ask(gateway, path, host)
      t.match(answer, /^HTTP\/1\.1 403 /, `${path} ${host}`)
      t.match(answer, '"code":"forbidden"')
      t.notMatch(answer, 'wxgate_')
    }
    t.match(await ask(gateway, '/v1/sessions/abc', host, credential), /^HTTP\/1\.1 403 /, host)
  }
})

test('loopback, the own address and the names of service.hosts are served, whatever the port is', async (t) => {
  const gateway = await build(t, { hosts: ['wxgate.internal', 'WXGATE', '10.0.0.7', '2001:db8::1'] })
  const hosts = [
    'localhost',
    'localhost:1',
    'LOCALHOST',
    'wxgate.localhost',
    '127.0.0.1',
    '127.9.9.9:80',
    '[::1]',
    'wxgate.internal',
    'WXGATE.internal.:9090',
    'wxgate',
    '10.0.0.7:9090',
    '[2001:db8::1]',
    null
  ]
  for (const host of hosts) t.match(await ask(gateway, '/metrics', host), /^HTTP\/1\.1 200 /, String(host))
})

test('forward-auth and health checks are answered for any Host: proxies and load balancers send their own', async (t) => {
  const gateway = await build(t)
  t.match(await ask(gateway, '/livez', 'shop.example'), /^HTTP\/1\.1 200 /)
  t.match(await ask(gateway, '/readyz', 'shop.example'), /^HTTP\/1\.1 200 /)
  t.match(await ask(gateway, '/auth/verify', 'shop.example'), /^HTTP\/1\.1 401 /)
  t.match(await ask(gateway, '/auth/verify/x', 'shop.example'), /^HTTP\/1\.1 401 /)
})

test('the address of the connection is served, also where it is not loopback', async (t) => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const own = addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address
  if (own === undefined) {
    t.comment('NOT TESTED: this machine has no address beside loopback')
    return
  }
  const gateway = await build(t, { host: '0.0.0.0' })
  const asked = await fetch(`http://${own}:${gateway.servicePort}/metrics`)
  t.equal(asked.status, 200)
})
