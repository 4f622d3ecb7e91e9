/** The right shape of each section. A place is a path of the schema: `[]` is any entry of a list,
 *  `*` any name. */
import type { Path } from './problem.ts'

export const TARGETS = '{ targets: [{ url: http://10.0.0.5:3000 }] }'

/** A valid value for each place. */
export const shapes: Readonly<Record<string, string>> = {
  server: '{ host: 0.0.0.0, port: 8080 }',
  'server.trustedProxies': '[10.0.0.0/8]',
  'server.proxyProtocol': '[10.0.0.10]',
  'server.tls': '{ cert: { file: tls/cert.pem }, key: { file: tls/key.pem } }',
  'server.tls.cert': '{ file: tls/cert.pem }',
  'server.tls.key': '{ file: tls/key.pem }',
  'server.drain': '{ delay: 5s, timeout: 30s }',
  'server.limits': '{ body: 10mb, headersTimeout: 15s }',
  'server.loginLimit': '{ max: 60, window: 1m, by: ip }',
  service: '{ host: 127.0.0.1, port: 9090 }',
  'service.tokens': `[{ name: orders, token: "\${ORDERS_SERVICE_TOKEN}", scopes: [session] }]`,
  'service.tokens[]': `{ name: orders, token: "\${ORDERS_SERVICE_TOKEN}", scopes: [session] }`,
  'service.tokens[].scopes': '[session, wxapi]',
  'service.tokens[].wxapiLimit': '{ rateLimit: { max: 600, window: 1m }, concurrency: 50 }',
  'service.tokens[].wxapiLimit.rateLimit': '{ max: 600, window: 1m }',
  secrets: `["\${WXGATE_SECRET}"]`,
  wechat: '{ apiBase: https://api.weixin.qq.com, timeout: 5s }',
  apps: `[{ appid: wx1234567890abcdef, secret: "\${WECHAT_APPSECRET}" }]`,
  'apps[]': `{ appid: wx1234567890abcdef, secret: "\${WECHAT_APPSECRET}" }`,
  'apps[].wxapiLimit': '{ rateLimit: { max: 6000, window: 1m }, concurrency: 200 }',
  'apps[].wxapiLimit.rateLimit': '{ max: 6000, window: 1m }',
  'apps[].apiSignature': `{ symmetricKey: "\${API_SYMMETRIC_KEY}", symmetricKeySn: fa05fe1e5bcc79b8, privateKey: { file: api_key.pem }, platformKeys: [{ serial: 79ba700ea147819f, publicKey: { file: open_platform.pem } }] }`,
  'apps[].apiSignature.platformKeys': '[{ serial: 79ba700ea147819f, publicKey: { file: open_platform.pem } }]',
  'apps[].apiSignature.platformKeys[]': '{ serial: 79ba700ea147819f, publicKey: { file: open_platform.pem } }',
  'apps[].prefetch': '{ upstream: shop, path: /prefetch }',
  'apps[].prefetch.rateLimit': '{ max: 6000, window: 1m }',
  'apps[].virtualPay': `{ appKey: "\${PAY_APP_KEY}" }`,
  'apps[].pay': `{ mchid: '1900000001', serialNo: 5D957685056E0E26CFCEE83165CD5B81E4C0BDD3, privateKey: { file: secrets/apiclient_key.pem }, apiV3Key: "\${PAY_V3_KEY}", upstream: payments, path: /wechat-paid }`,
  'apps[].pay.platformKeys': '[{ serial: PUB_KEY_ID_0110000000, publicKey: { file: pub_key.pem } }]',
  'apps[].pay.platformKeys[]': '{ serial: PUB_KEY_ID_0110000000, publicKey: { file: pub_key.pem } }',
  tokens: '{ accessTtl: 2h, refreshTtl: 30d }',
  sessions: '{ sessionKeyTtl: 2h }',
  login: '{ hook: { upstream: accounts, path: /login } }',
  'login.hook': '{ upstream: accounts, path: /login }',
  'login.hook.claims': '[roles, level]',
  store: 'sqlite:./data/wxgate.db',
  logging: '{ level: info, format: json }',
  upstreams: `{ orders: ${TARGETS} }`,
  'upstreams.*': TARGETS,
  'upstreams.*.targets': '[{ url: http://10.0.0.5:3000 }]',
  'upstreams.*.targets[]': '{ url: http://10.0.0.5:3000 }',
  'upstreams.*.timeouts': '{ connect: 2s, response: 30s }',
  'upstreams.*.retries': '{ attempts: 1, on: [connect] }',
  'upstreams.*.retries.on': '[connect, reset]',
  'upstreams.*.headers': `{ Authorization: "\${BACKEND_AUTHORIZATION}" }`,
  'upstreams.*.tls': '{ ca: { file: tls/ca.pem } }',
  routes: '[{ path: /api, upstream: orders }]',
  'routes[]': '{ path: /api, upstream: orders }',
  'routes[].methods': '[GET, POST]',
  'routes[].apps': '[wx1234567890abcdef]',
  'routes[].rateLimit': '{ max: 100, window: 1m, by: user }',
  'routes[].requestHeaders': '{ set: { X-Source: mini-program } }',
  'routes[].responseHeaders': '{ remove: [Server] }',
  'routes[].identity': '{ headers: cloudrun, env: prod-1a2b3c }',
  'routes[].ip': '{ allow: [10.0.0.0/8] }',
  'routes[].cors': '{ origins: [https://h5.example.com] }',
  'routes[].maintenance': '{ retryAfter: 10m, allow: [10.0.0.0/8] }',
  'routes[].variants': '[{ upstream: canary, share: 5% }]',
  'routes[].variants[]': '{ upstream: canary, share: 5% }',
  'routes[].variants[].env': '[trial, develop]',
  'routes[].variants[].header': '{ X-Canary: "1" }',
  'routes[].allow': '{ matrixParams: true }',
  'routes[].require': '{ roles: [admin] }',
  'routes[].inject': '{ X-Level: level }'
}

/** The place of a path: `routes[2].auth` is `routes[].auth`. */
export function placeOf(path: Path): string {
  return path
    .map((step, index) => (typeof step === 'number' ? '[]' : index === 1 && path[0] === 'upstreams' ? '*' : step))
    .join('.')
    .replaceAll('.[]', '[]')
}
