/** The configuration as an operator sees it. */
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'tap'
import { configSchema } from '../src/config/config.ts'
import { MASK, maskConfig } from '../src/config/masked.ts'
import { APPID, defaultConfig, readTestConfig } from './support/gateway.ts'

/** Places of secrets in the schema; `*` stands for an entry of a list or of a map. */
function secretPlaces(schema: unknown, place: string): string[] {
  const { properties = {}, items, patternProperties = {}, ...own } = schema as Record<string, Record<string, unknown>>
  if (own['x-secret'] !== undefined) return own['x-public'] === undefined ? [place] : []
  const inside = (key: string) => (place === '' ? key : `${place}.${key}`)
  return [
    ...Object.entries(properties).flatMap(([key, value]) => secretPlaces(value, inside(key))),
    ...Object.values(patternProperties).flatMap((value) => secretPlaces(value, inside('*'))),
    ...(items === undefined ? [] : secretPlaces(items, inside('*')))
  ]
}

test('no secret of any section is in the masked configuration', (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const keyLine = privateKey.split('\n')[2] ?? ''
  const config = readTestConfig({
    ...defaultConfig('http://127.0.0.1:9'),
    service: {
      host: '127.0.0.1',
      port: 2,
      tokens: [{ name: 'a', token: 'canary-service-0123456', scopes: ['admin'] }]
    },
    secrets: ['canary-secret-of-more-than-32-characters'],
    wechat: { apiBase: 'https://api.weixin.qq.com', proxy: 'http://canary-user:canary-pass@10.0.0.9:3128' },
    store: 'redis://canary-name:canary-password@10.0.0.1:6379/0?sentinelPassword=canary-query',
    apps: [
      {
        appid: APPID,
        secret: 'canary-appsecret-0123456789abcdef',
        virtualPay: { appKey: 'canary-app-key', sandboxAppKey: 'canary-sandbox-key' },
        push: { token: 'canarytoken', encodingAesKey: 'canary'.padEnd(43, 'k'), upstream: 'app', path: '/events' },
        apiSignature: {
          symmetricKey: Buffer.from('canary'.padEnd(32, 'k')).toString('base64'),
          symmetricKeySn: 'sn1',
          privateKey,
          platformKeys: [{ serial: 'sn2', publicKey }]
        },
        pay: {
          mchid: '1900000001',
          serialNo: '5157F09EFDC096DE15EBE81A47057A7232F1B8E1',
          privateKey,
          apiV3Key: 'canary'.padEnd(32, '3'),
          apiKey: 'canary'.padEnd(32, '2'),
          upstream: 'app',
          path: '/paid'
        }
      }
    ],
    telemetry: { otlp: { endpoint: 'http://127.0.0.1:4318', headers: { Authorization: 'Bearer canary-otlp' } } },
    upstreams: {
      app: {
        targets: [{ url: 'https://127.0.0.1:9' }],
        headers: { Authorization: 'Basic canary-fixed' },
        tls: { insecureSkipVerify: false }
      }
    },
    routes: [{ path: '/api', upstream: 'app', requestHeaders: { set: { 'X-Key': 'canary-route' } } }]
  })
  const text = JSON.stringify(maskConfig(config))
  const sealed = Buffer.from('canary').toString('base64').slice(0, 8)
  for (const canary of ['canary', sealed, keyLine]) t.notOk(text.includes(canary), canary)
  t.ok(text.includes(MASK))
  t.ok(text.includes('"mchId":"1900000001"'), 'the rest is shown')
  t.same(
    secretPlaces(configSchema, '').sort(),
    [
      'apps.*.apiSignature.privateKey',
      'apps.*.apiSignature.symmetricKey',
      'apps.*.pay.apiKey',
      'apps.*.pay.apiV3Key',
      'apps.*.pay.privateKey',
      'apps.*.push.encodingAesKey',
      'apps.*.push.token',
      'apps.*.secret',
      'apps.*.virtualPay.appKey',
      'apps.*.virtualPay.sandboxAppKey',
      'secrets.*',
      'service.tokens.*.token',
      'store',
      'telemetry.otlp.headers.*',
      'upstreams.*.headers.*',
      'upstreams.*.tls.key',
      'wechat.proxy'
    ],
    'every secret of the schema is in this test; upstreams.*.tls.key is masked like its neighbours'
  )
  t.end()
})
