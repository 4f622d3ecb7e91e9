/** Every file that gateway.yaml names is followed: a changed file is in force without a signal and
 *  without a restart. */
import { createHmac, verify } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { type Test, test } from 'tap'
import { configSchema } from '../src/config/config.ts'
import { loadConfig } from '../src/config/load.ts'
import { followPair, readPair } from '../src/http/certificate-pair.ts'
import { fileState, watchFiles } from '../src/watched-files.ts'
import { type Certificate, hasOpenssl } from './support/certificates.ts'
import { startCollector } from './support/collector.ts'
import { startConnectProxy } from './support/connect-proxy.ts'
import { APPID } from './support/gateway.ts'
import { listen } from './support/listen.ts'
import { API_V2_KEY, API_V3_KEY, generateRsa, payConfig } from './support/pay.ts'
import { freePort, startProcess, writeConfig } from './support/process.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from './support/push.ts'
import { startRedis } from './support/redis.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

type Versions = readonly [before: string, after: string]

/** Places of gateway.yaml that take `{ file: PATH }`; `*` stands for an entry of a list or of a
 *  map. */
function filePlaces(schema: unknown, place = ''): string[] {
  const { properties = {}, items, patternProperties = {}, anyOf = [], ...own } = schema as Record<string, object>
  const inside = (key: string) => (place === '' ? key : `${place}.${key}`)
  if (own['x-secret'] !== undefined || 'file' in properties) return [place]
  return [
    ...Object.entries(properties).flatMap(([key, value]) => filePlaces(value, inside(key))),
    ...Object.values(patternProperties).flatMap((value) => filePlaces(value, inside('*'))),
    ...(anyOf as object[]).flatMap((value) => filePlaces(value, place)),
    ...(items === undefined ? [] : filePlaces(items, inside('*')))
  ]
}

/** One certificate and a list of them are two forms of one place. */
function single(place: string): string {
  return place.replace('.tls.*.', '.tls.')
}

/** Places of a configuration that name a file. */
function writtenPlaces(value: unknown, place = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  if ('file' in value) return [place]
  const inside = (key: string) => (place === '' ? key : `${place}.${key}`)
  if (Array.isArray(value)) return value.flatMap((entry) => writtenPlaces(entry, inside('*')))
  return Object.entries(value).flatMap(([key, entry]) =>
    writtenPlaces(entry, inside(/(^|\.)(headers|upstreams)$/.test(place) ? '*' : key))
  )
}

/** A folder of files as kubelet mounts a Secret: links lead through `..data`, which a swap
 *  replaces. */
function mountSecret(folder: string, files: ReadonlyMap<string, Versions>) {
  mkdirSync(folder)
  for (const version of [0, 1] as const) {
    mkdirSync(join(folder, `..v${version}`))
    for (const [name, versions] of files) writeFileSync(join(folder, `..v${version}`, name), `${versions[version]}\n`)
  }
  symlinkSync('..v0', join(folder, '..data'))
  for (const name of files.keys()) symlinkSync(join('..data', name), join(folder, name))
  return {
    swap() {
      symlinkSync('..v1', join(folder, '..next'))
      renameSync(join(folder, '..next'), join(folder, '..data'))
      rmSync(join(folder, '..v0'), { recursive: true })
    }
  }
}

const twice = (name: string): Versions => [
  `${name}-first-0123456789-abcdefghijk`,
  `${name}-other-0123456789-abcdefghijk`
]
const TOKENS = twice('service-token')
const APP_SECRETS = twice('app-secret')
const APP_KEYS = twice('app-key')
const API_KEYS = twice('api-key')
const PUSH: readonly [Versions, Versions] = [
  [PUSH_TOKEN, 'anotherPushToken02'],
  [PUSH_KEY, PUSH_KEY.replace('canary', 'renewd')]
]
const RSA = [generateRsa(), generateRsa()] as const

interface Places {
  readonly wechat: string
  readonly proxy: Versions
  readonly upstream: string
  readonly collector: string
  readonly store: Versions
  readonly ports: { readonly edge: number; readonly redirect: number; readonly service: number }
  readonly certificates: {
    readonly [name in 'edge' | 'service' | 'client' | 'ca']: readonly [Certificate, Certificate]
  }
}

/** A configuration that names a file in every place that takes one. */
function everyFile({ wechat, proxy, upstream, collector, store, ports, certificates }: Places) {
  const files = new Map<string, Versions>()
  const file = (versions: Versions) => {
    const name = `file-${files.size}`
    files.set(name, versions)
    return { file: `mounted/${name}` }
  }
  const part = (pair: readonly [Certificate, Certificate], key: 'cert' | 'key') =>
    file([pair[0][key].trimEnd(), pair[1][key].trimEnd()])
  const pem = (key: 'privateKey' | 'publicKey') => file([RSA[0][key].trimEnd(), RSA[1][key].trimEnd()])
  const tls = (pair: readonly [Certificate, Certificate]) => ({ cert: part(pair, 'cert'), key: part(pair, 'key') })
  const symmetricKey = file([0, 1].map((fill) => Buffer.alloc(32, fill).toString('base64')) as unknown as Versions)
  const config = {
    server: {
      host: '127.0.0.1',
      port: ports.edge,
      redirectHttp: { port: ports.redirect },
      tls: tls(certificates.edge),
      drain: { delay: '10ms', timeout: '1s' }
    },
    service: {
      host: '127.0.0.1',
      port: ports.service,
      tls: tls(certificates.service),
      tokens: [{ name: 'all', token: file(TOKENS), scopes: ['session', 'pay', 'admin'] }]
    },
    secrets: [file(twice('signing-secret'))],
    wechat: { apiBase: wechat, proxy: file(proxy) },
    apps: [
      {
        appid: APPID,
        secret: file(APP_SECRETS),
        virtualPay: { appKey: file(APP_KEYS), sandboxAppKey: file(twice('sandbox-app-key')) },
        apiSignature: {
          symmetricKey,
          symmetricKeySn: 'sn1',
          privateKey: pem('privateKey'),
          platformKeys: [{ serial: 'sn2', publicKey: pem('publicKey') }]
        },
        push: { token: file(PUSH[0]), encodingAesKey: file(PUSH[1]), upstream: 'app', path: '/events' },
        pay: payConfig(RSA[0], {
          privateKey: pem('privateKey'),
          apiV3Key: file([API_V3_KEY, API_V3_KEY.toUpperCase()]),
          apiKey: file([API_V2_KEY, API_V2_KEY.toUpperCase()]),
          platformKeys: [{ serial: 'PUB_KEY_ID_0123456789', publicKey: pem('publicKey') }]
        })
      }
    ],
    store: file(store),
    telemetry: {
      otlp: { endpoint: collector, headers: { Authorization: file(['Bearer one', 'Bearer two']) }, interval: '1s' }
    },
    upstreams: {
      app: {
        targets: [{ url: upstream }],
        headers: { 'X-Api-Key': file(API_KEYS) },
        tls: { ca: part(certificates.ca, 'cert'), ...tls(certificates.client) }
      }
    },
    routes: [
      { path: '/api', upstream: 'app' },
      { path: '/public', upstream: 'app', auth: 'public' }
    ]
  }
  return { config, files }
}

/** One call over TLS to a port of this machine; any certificate is accepted. */
function ask(port: number, path: string, token?: string, body?: object | string): Promise<Answer> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(typeof body === 'object' ? { 'content-type': 'application/json' } : {})
  }
  const method = body === undefined ? 'GET' : 'POST'
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers, agent: false, rejectUnauthorized: false }
    const call = request(options, async (response) => {
      const subject = String((response.socket as TLSSocket).getPeerCertificate().subject.CN)
      let text = ''
      for await (const chunk of response) text += chunk
      const isJson = /json/.test(response.headers['content-type'] ?? '')
      resolve({ status: response.statusCode ?? 0, subject, json: isJson ? JSON.parse(text) : {} })
    })
    call.on('error', reject)
    call.end(typeof body === 'object' ? JSON.stringify(body) : body)
  })
}

interface Answer {
  readonly status: number
  /** Of the server's certificate. */
  readonly subject: string
  readonly json: Readonly<Record<string, string>>
}

/** A backend with TLS that says which client certificate and header it got. */
async function startTlsUpstream(t: Test, { cert, key }: Certificate): Promise<string> {
  const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const { subject } = (req.socket as TLSSocket).getPeerCertificate()
    const seen = { client: subject?.CN, apiKey: req.headers['x-api-key'] }
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(seen))
  })
  return `https://127.0.0.1:${await listen(t, server)}`
}

function readUnder(file: string) {
  return loadConfig({ file, env: {}, production: false, allow: new Set() })
}

test('a swap of all mounted files is in force within a reload, and nothing needs a restart', async (t) => {
  const certificates = hasOpenssl(t)
  const redis = await startRedis(t, '--requirepass', 'one')
  if (!certificates || !redis) return
  const pair = (name: string) =>
    [certificates.make(`${name}-1`, 'IP:127.0.0.1'), certificates.make(`${name}-2`, 'IP:127.0.0.1')] as const
  const backend = certificates.make('backend', 'IP:127.0.0.1')
  const wechat = await startUpstream(t, (_req, res) =>
    res.end(
      JSON.stringify({
        openid: 'oALICE',
        session_key: 'c2Vzc2lvbi1rZXktMDE2Yg==',
        access_token: 'at',
        expires_in: 7200
      })
    )
  )
  const proxy = await startConnectProxy(t, wechat.port)
  const collector = await startCollector(t)
  const ports = { edge: await freePort(), redirect: await freePort(), service: await freePort() }
  const withPassword = (password: string) => `redis://:${password}@127.0.0.1:${redis.port}`
  const { config, files } = everyFile({
    wechat: wechat.url,
    proxy: [`http://user:one@127.0.0.1:${proxy.port}`, `http://user:two@127.0.0.1:${proxy.port}`],
    upstream: await startTlsUpstream(t, backend),
    collector: collector.url,
    store: [withPassword('one'), withPassword('two')],
    ports,
    certificates: {
      edge: pair('edge'),
      service: pair('service'),
      client: pair('client'),
      ca: [certificates.make('unknown', 'IP:127.0.0.2'), backend]
    }
  })
  t.same(
    [...new Set(writtenPlaces(config).map(single))].sort(),
    [...new Set(filePlaces(configSchema).map(single))].sort(),
    'every place'
  )
  const { folder, file } = writeConfig(t, config)
  const { swap } = mountSecret(join(folder, 'mounted'), files)
  const loaded = readUnder(file)
  t.ok(loaded.ok)
  const own = writtenPlaces(config).filter((place) => /^(server|service)\.tls\./.test(place)).length
  t.equal(loaded.files.length, 1 + files.size - own, 'all but those that a listener follows itself')

  const { output } = startProcess(t, ['run', '-c', file])
  await until(() => output().includes('wxgate is ready'))
  t.match(output(), `"redirect":"http://127.0.0.1:${ports.redirect}"`, 'the start line has every address')
  const login = (code: string) => ask(ports.edge, '/auth/login', undefined, { code, appid: APPID })
  const secretsSent = () => wechat.seen.flatMap(({ url }) => new URL(url, wechat.url).searchParams.get('secret') ?? [])
  const call = (path: string, token?: string) => ask(ports.edge, path, token)
  const service = (version: 0 | 1, path: string, body: object) => ask(ports.service, path, TOKENS[version], body)
  const signed = { appid: APPID, openid: 'oALICE', body: '{}', uri: '/u' }
  const push = (version: 0 | 1) => {
    const options = { token: PUSH[0][version], key: PUSH[1][version] }
    const { path, body } = pushRequest(APPID, { ToUserName: 'gh_1', FromUserName: 'oA', MsgType: 'event' }, options)
    return ask(ports.edge, path, undefined, body)
  }
  const paySigned = async (version: 0 | 1) => {
    const { json } = await service(version, '/v1/pay/params', { appid: APPID, prepay_id: 'wx1' })
    const text = `${APPID}\n${json.timeStamp}\n${json.nonceStr}\n${json.package}\n`
    return verify('RSA-SHA256', Buffer.from(text), RSA[version].publicKey, Buffer.from(json.paySign ?? '', 'base64'))
  }
  const paySig = (version: 0 | 1) => createHmac('sha256', APP_KEYS[version]).update('/u&{}').digest('hex')

  const first = await login('code-1')
  t.match(first, { status: 200, subject: 'edge-1' })
  t.match(await service(0, '/v1/sign', signed), { status: 200, subject: 'service-1', json: { pay_sig: paySig(0) } })
  t.same([(await push(0)).status, (await push(1)).status], [200, 401])
  t.ok(await paySigned(0))
  t.equal((await call('/public')).status, 502, 'the authority of the backend is not in the file yet')
  t.equal(secretsSent().at(-1), APP_SECRETS[0])
  t.equal((await call('/api', first.json.access_token)).status, 502)
  await until(() => collector.requests.at(-1)?.headers.authorization === 'Bearer one')

  swap()
  await until(async () => (await call('/public')).status === 200)
  await until(async () => (await login('code-2')).subject === 'edge-2')
  await until(async () => (await service(1, '/v1/sign', signed)).subject === 'service-2')
  t.match((await call('/public')).json, { client: 'client-2', apiKey: API_KEYS[1] })
  t.equal((await call('/api', first.json.access_token)).status, 401, 'the former secret signs no more')
  const second = await login('code-3')
  t.equal((await call('/api', second.json.access_token)).status, 200)
  t.equal(secretsSent().at(-1), APP_SECRETS[1])
  t.equal(proxy.asked.at(-1)?.authorization, `Basic ${Buffer.from('user:two').toString('base64')}`)
  t.equal((await service(0, '/v1/sign', signed)).status, 401)
  t.match((await service(1, '/v1/sign', signed)).json, { pay_sig: paySig(1) })
  t.same([(await push(0)).status, (await push(1)).status], [401, 200])
  t.ok(await paySigned(1))
  await until(() => collector.requests.at(-1)?.headers.authorization === 'Bearer two')

  await redis.kill()
  await redis.start('--requirepass', 'two')
  // The gateway connects again, with the new password.
  await until(async () => (await login('code-4')).status === 200)
  t.notMatch(output(), /by a restart|not valid/)
})

test('a change between the reading of a file and its watch is found, and a replaced link is a change', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-files-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { swap } = mountSecret(join(folder, 'mounted'), new Map([['linked', ['same', 'same']]]))
  const paths = ['written', 'replaced', 'absent', 'mounted/linked', 'unchanged'].map((name) => join(folder, name))
  const [written = '', replaced = '', absent = '', linked = ''] = paths
  for (const path of [written, replaced, join(folder, 'unchanged')]) writeFileSync(path, 'same')
  const changed = new Set<string>()
  for (const path of paths) {
    const watched = watchFiles(() => changed.add(path))
    t.teardown(watched.stop)
    watched.use([fileState(path)])
  }
  writeFileSync(written, 'more')
  writeFileSync(`${replaced}.next`, 'same')
  renameSync(`${replaced}.next`, replaced)
  writeFileSync(absent, 'new')
  swap()
  await until(() => changed.size === 4)
  t.same([...changed].sort(), [written, replaced, absent, linked].sort())
})

test('a certificate that is replaced right after it was read is taken into use', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const [used, next] = [certificates.make('used', 'DNS:used.example'), certificates.make('next', 'DNS:next.example')]
  const first = readPair(used, {})
  writeFileSync(used.certFile, next.cert)
  writeFileSync(used.keyFile, next.key)
  let changes = 0
  const followed = followPair(used, {}, first, {
    onChange: () => changes++,
    onFailure: (error) => t.fail(String(error))
  })
  t.teardown(() => followed.stop())
  await until(() => changes === 1)
  t.same(followed.current.names, ['next.example'])
})
