/** Keys and words of other gateways, with those of wxgate that replace them. */
import { fold } from './problem.ts'
import { shapes, TARGETS } from './shapes.ts'

const ROUTE_UPSTREAM = `upstream: orders, with upstreams: { orders: ${TARGETS} }`
const NO_HOSTS = 'routes are matched by path and method only; put a gateway per host behind a proxy that reads the host'

const TLS_NAMES = [
  ['certificate certFile crt chain fullchain sslCertificate', `write cert: ${shapes['server.tls.cert']}`],
  ['privateKey keyFile certificateKey sslCertificateKey', `write key: ${shapes['server.tls.key']}`]
] as const

/** Foreign keys by place: names in any spelling, and the hint. */
const foreignKeys: Readonly<Record<string, readonly (readonly [names: string, write: string])[]>> = {
  '': [
    ['listen port host address bind http https', `write server: ${shapes.server}`],
    ['tls ssl certificate', `write server: { tls: ${shapes['server.tls']} }`],
    ['location locations rules paths proxy forward', `write routes: ${shapes.routes}`],
    ['backend backends services targets servers clusters', `write upstreams: ${shapes.upstreams}`],
    ['redis database db storage sqlite', 'write store: redis://redis.internal:6379'],
    ['weixin miniprogram miniprograms appid', `write apps: ${shapes.apps}`],
    ['log logs logger', `write logging: ${shapes.logging}`],
    ['jwt auth token session', `write tokens: ${shapes.tokens}`],
    ['admin management internal', `write service: ${shapes.service}`]
  ],
  server: [
    ['listen address bind addr listenAddress', `write server: ${shapes.server}`],
    ['ssl https certificate certificates sslCertificate certFile keyFile', `write tls: ${shapes['server.tls']}`],
    ['trustProxy trustedIps realIp setRealIpFrom forwardedHeaders proxies', 'write trustedProxies: [10.0.0.0/8]'],
    [
      'acceptProxy acceptProxyProtocol proxyProtocolV2 sendProxy useProxyProtocol',
      `write proxyProtocol: ${shapes['server.proxyProtocol']}`
    ],
    [
      'strictTransportSecurity stsSeconds hstsMaxAge stsIncludeSubdomains forceSTSHeader',
      `write hsts: ${shapes['server.hsts']}`
    ],
    [
      'redirect httpPort redirectPort redirectScheme redirections autoHttps httpsRedirect forceHttps',
      `write redirectHttp: ${shapes['server.redirectHttp']}`
    ],
    ['workerProcesses processes cluster threads', 'write workers: auto'],
    ['clientMaxBodySize maxBodySize bodyLimit bodySize maxRequestSize', 'write limits: { body: 10mb }'],
    ['timeout timeouts readTimeout clientHeaderTimeout', 'write limits: { headersTimeout: 15s, bodyIdleTimeout: 60s }'],
    ['keepalive keepAliveTimeout idleTimeout', 'write limits: { keepAliveTimeout: 72s }'],
    ['shutdown gracePeriod gracefulShutdown shutdownTimeout', `write drain: ${shapes['server.drain']}`],
    ['rateLimit limit', `write loginLimit: ${shapes['server.loginLimit']}, or rateLimit on a route`]
  ],
  'server.tls': TLS_NAMES,
  'server.tls[]': TLS_NAMES,
  'service.tls': TLS_NAMES,
  'service.tls[]': TLS_NAMES,
  service: [
    ['listen address bind', `write service: ${shapes.service}`],
    ['ssl https certificate certificates sslCertificate certFile keyFile', `write tls: ${shapes['service.tls']}`]
  ],
  'service.tokens[]': [
    ['scope role roles permissions', `write scopes: ${shapes['service.tokens[].scopes']}`],
    ['key secret value password', `write token: \${ORDERS_SERVICE_TOKEN}`],
    ['id user username', 'write name: orders']
  ],
  'apps[]': [
    ['id appIds clientId', 'write appid: wx1234567890abcdef'],
    ['appSecret key clientSecret secretKey', `write secret: \${WECHAT_APPSECRET}`]
  ],
  'apps[].pay': [
    ['mch merchantId mchNo', "write mchid: '1900000001'"],
    [
      'serial certSerial certSerialNo mchSerialNo merchantSerialNumber certificateSerialNo',
      'write serialNo: 5D957685056E0E26CFCEE83165CD5B81E4C0BDD3'
    ],
    [
      'key keyPath privateKeyPath keyFile pem apiclientKey mchPrivateKey',
      'write privateKey: { file: secrets/apiclient_key.pem }'
    ],
    ['v3Key apiV3 apiKeyV3 mchApiV3Key secret', `write apiV3Key: "\${PAY_V3_KEY}"`],
    ['mchKey partnerKey apiV2Key v2Key', `write apiKey: "\${PAY_V2_KEY}"`],
    ['notifyUrl notify url callback', 'write upstream: payments and path: /wechat-paid'],
    [
      'platformCerts publicKey publicKeyId wechatpayPublicKey',
      `write platformKeys: ${shapes['apps[].pay.platformKeys']}`
    ]
  ],
  'upstreams.*': [
    ['url urls uri server servers target hosts port nodes backends address addresses endpoints', `write ${TARGETS}`],
    ['lb loadBalance loadBalancer algorithm strategy policy', 'write balance: roundRobin'],
    [
      'timeout connectTimeout readTimeout proxyReadTimeout responseTimeout',
      `write timeouts: ${shapes['upstreams.*.timeouts']}`
    ],
    ['retry maxRetries', `write retries: ${shapes['upstreams.*.retries']}`],
    ['hostHeader preserveHost passHostHeader upstreamHost', 'write host: client, or host: target'],
    [
      'requestHeaders setHeaders auth credentials basicAuth proxySetHeader',
      `write headers: ${shapes['upstreams.*.headers']}`
    ],
    ['ssl https', `write tls: ${shapes['upstreams.*.tls']}`],
    ['weight', 'write targets: [{ url: http://10.0.0.5:3000, weight: 2 }]']
  ],
  'upstreams.*.targets[]': [
    ['host port address server uri target addr', `write url: http://10.0.0.5:3000`],
    ['scheme protocol', 'write it before the URL: https://10.0.0.5:3000']
  ],
  'routes[]': [
    ['url uri target targets backend service proxyPass proxy destination to forward', `write ${ROUTE_UPSTREAM}`],
    ['prefix pathPrefix location match paths rule predicates pattern route', 'write path: /api'],
    ['host hosts domain domains hostname serverName', NO_HOSTS],
    ['method verbs verb', `write methods: ${shapes['routes[].methods']}`],
    ['stripPath rewrite rewriteTarget filters middlewares plugins replacePath', 'write stripPrefix: /api'],
    [
      'public anonymous noAuth skipAuth authRequired authentication protected secured',
      'write auth: public, or auth: required'
    ],
    ['limit limits rate throttle limitReq requestsPerMinute', `write rateLimit: ${shapes['routes[].rateLimit']}`],
    [
      'headers header addHeaders setHeaders proxySetHeader',
      `write requestHeaders: ${shapes['routes[].requestHeaders']}`
    ],
    ['role roles claim claims permissions scopes authorities', `write require: ${shapes['routes[].require']}`],
    ['clientMaxBodySize maxBodySize bodySize', 'write bodyLimit: 1mb'],
    ['timeouts readTimeout proxyReadTimeout responseTimeout', 'write timeout: 10s'],
    ['ipAllow ipWhitelist allowList whiteList ipRestriction denyList ipFilter', `write ip: ${shapes['routes[].ip']}`],
    ['corsPolicy allowOrigins allowedOrigins accessControl', `write cors: ${shapes['routes[].cors']}`],
    ['maxInFlight maxConnections limitConn inFlightReq', 'write concurrency: 200'],
    ['canary split trafficSplit weights mirror', `write variants: ${shapes['routes[].variants']}`],
    ['offline closed downtime', `write maintenance: ${shapes['routes[].maintenance']}`],
    ['app appid appIds', `write apps: ${shapes['routes[].apps']}`],
    ['websocket websockets ws upgrade', 'leave it out: WebSockets pass without a setting'],
    ['priority order', 'leave it out: the longest path wins'],
    ['name id', 'leave it out: the path names the route']
  ],
  'routes[].rateLimit': [
    ['limit rate count average requests burst requestsPerMinute', 'write max: 100'],
    ['period interval per duration seconds time', 'write window: 1m'],
    ['key source keyBy', 'write by: user']
  ]
}

/** Words of other products for a value of a place. */
const foreignWords: Readonly<Record<string, readonly (readonly [words: string, write: string])[]>> = {
  'routes[].auth': [
    ['none no off false anonymous open skip disabled all permitAll', 'public'],
    ['true yes on jwt bearer token login strict user authenticated', 'required']
  ],
  'upstreams.*.host': [
    ['$host $httpHost preserve passthrough original true', 'client'],
    ['$proxyHost upstream rewrite auto default false', 'target']
  ],
  'upstreams.*.balance': [
    ['rr round random weighted weightedRoundRobin', 'roundRobin'],
    ['leastConn leastConnections leastRequest leastTime', 'leastRequests'],
    ['ipHash consistent consistentHash source sticky ringHash maglev', 'hash']
  ],
  'logging.level': [
    ['warning', 'warn'],
    ['none off quiet', 'silent'],
    ['verbose all finest', 'trace'],
    ['critical emerg alert crit', 'fatal'],
    ['notice', 'info']
  ],
  'logging.format': [
    ['text plain console human', 'pretty'],
    ['ndjson structured logfmt', 'json'],
    ['common nginx apache main', 'combined']
  ],
  'routes[].rateLimit.by': [
    ['openid token account session sub userId', 'user'],
    ['client address remoteAddr remoteIp clientIp', 'ip']
  ],
  'server.loginLimit.by': [['client address remoteAddr user', 'ip']],
  'tokens.algorithm': [
    ['ed25519', 'EdDSA'],
    ['RS256 RS384 RS512 PS256 ES384 ES512', 'ES256'],
    ['HS384 HS512 hmac', 'HS256']
  ],
  'tokens.openid': [
    ['encrypted hidden true', 'sealed'],
    ['clear open visible false', 'plain']
  ]
}

/** The hint for a key of another gateway. */
export function foreignKey(place: string, key: string): string | undefined {
  return lookUp(foreignKeys[place], key)
}

/** The word that replaces a word of another product. */
export function foreignWord(place: string, word: string): string | undefined {
  return lookUp(foreignWords[place], word)
}

function lookUp(table: readonly (readonly [string, string])[] | undefined, word: string): string | undefined {
  return table?.find(([names]) => names.split(' ').some((name) => fold(name) === fold(word)))?.[1]
}
