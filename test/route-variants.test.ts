/** `variants` of a route: another upstream for a version of the mini-program, a header, or a share
 *  of the users. */
import { type Test, test } from 'tap'
import { configText, problems, warnings } from './support/config.ts'
import { buildTestGateway } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'
import { handshake, startSocketService } from './support/websocket.ts'

const referer = (version: string) => `https://servicewechat.com/wx1234567890abcdef/${version}/page-frame.html`

async function named(t: Test, name: string) {
  const { url } = await startUpstream(t, (req, res) => {
    res.setHeader('location', `${url}/next`)
    res.writeHead(201).end(JSON.stringify({ name, path: req.url, host: req.headers.host, key: req.headers['x-key'] }))
  })
  return url
}

test('a request goes to the upstream of the first variant that fits', async (t) => {
  const [main, staging, canary] = [await named(t, 'main'), await named(t, 'staging'), await named(t, 'canary')]
  const sockets = await startSocketService(t)
  const share = (upstream: string, percent: number) => ({ upstream, share: `${percent}%` })
  const gateway = await buildTestGateway(t, main, {
    config: {
      upstreams: {
        app: { targets: [{ url: main }] },
        staging: { targets: [{ url: staging }], host: 'staging.internal', headers: { 'X-Key': 'for-staging' } },
        canary: { targets: [{ url: canary }] },
        sockets: { targets: [{ url: sockets.url }] }
      },
      routes: [
        {
          path: '/v',
          upstream: 'app',
          auth: 'optional',
          stripPrefix: '/v',
          rateLimit: { max: 1000, window: '1h', by: 'ip' },
          variants: [
            { upstream: 'staging', env: ['trial'] },
            { upstream: 'canary', env: ['develop'] },
            { upstream: 'staging', header: { 'X-Canary': '1', 'x-group': 'b' } },
            { upstream: 'canary', header: { 'x-canary': '1' } }
          ]
        },
        { path: '/half', upstream: 'app', auth: 'optional', variants: [share('canary', 30), share('staging', 30)] },
        { path: '/all', upstream: 'app', variants: [share('canary', 100)] },
        { path: '/none', upstream: 'app', variants: [share('canary', 0)] },
        { path: '/both', upstream: 'app', variants: [{ ...share('canary', 100), header: { 'x-canary': '1' } }] },
        { path: '/ws', upstream: 'app', auth: 'public', variants: [{ upstream: 'sockets', env: ['trial'] }] }
      ]
    }
  })
  const ask = async (path: string, headers: Record<string, string> = {}, token?: string) => {
    const response = await gateway.call(path, { headers, ...(token ? { token } : {}) })
    const { name, path: seen, host, key } = (await response.json()) as Record<string, string>
    return { status: response.status, location: response.headers.get('location'), name, path: seen, host, key }
  }

  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{}, 'main'],
    [{ referer: referer('0') }, 'staging'],
    [{ referer: referer('devtools') }, 'canary'],
    [{ referer: referer('12') }, 'main'],
    [{ referer: referer('00') }, 'main'],
    [{ referer: `${referer('0')}?x` }, 'main'],
    [{ referer: referer('0').replace('https', 'http') }, 'main'],
    [{ referer: referer('0').replace('.com', '.com.evil.example') }, 'main'],
    [{ referer: `https://evil.example/?${referer('0')}` }, 'main'],
    [{ 'X-CANARY': '1' }, 'canary'],
    [{ 'x-canary': '1', 'X-Group': 'b' }, 'staging'],
    [{ 'x-canary': '1', 'x-group': 'B' }, 'canary'],
    [{ 'x-canary': '10' }, 'main'],
    [{ 'x-canary': '1', referer: referer('0') }, 'staging']
  ]
  for (const [headers, name] of cases) t.equal((await ask('/v', headers)).name, name, JSON.stringify(headers))
  t.match(await ask('/v/orders', { referer: referer('0') }), {
    status: 201,
    location: '/v/next',
    path: '/orders',
    host: 'staging.internal',
    key: 'for-staging'
  })
  t.equal((await ask('/v', { referer: referer('0') }, 'nonsense')).status, 401, 'a variant opens nothing')

  const counts: Record<string, number> = { main: 0, staging: 0, canary: 0 }
  const tokens: string[] = []
  for (let user = 0; user < 60; user++) {
    const { access_token: token } = await gateway.login(`user${user}`)
    tokens.push(token)
    const { name = '' } = await ask('/half', {}, token)
    counts[name] = (counts[name] ?? 0) + 1
    t.equal((await ask('/half', {}, token)).name, name, 'a user stays with its variant')
  }
  // The openids of the sandbox are fixed, so these counts are too.
  for (const name of ['main', 'staging', 'canary']) t.ok((counts[name] ?? 0) >= 8, `${name}: ${counts[name]} of 60`)
  t.equal((await ask('/half')).name, 'main', 'without a user')
  const again = await gateway.login('user7')
  t.equal((await ask('/half', {}, again.access_token)).name, (await ask('/half', {}, tokens[7])).name, 'a new login')
  t.equal((await ask('/all', {}, tokens[0])).name, 'canary')
  t.equal((await ask('/none', {}, tokens[0])).name, 'main')
  t.equal((await ask('/both', {}, tokens[0])).name, 'main')
  t.equal((await ask('/both', { 'x-canary': '1' }, tokens[0])).name, 'canary')

  const client = await openClient(t, gateway.port)
  client.send(handshake('/ws', undefined, `Referer: ${referer('0')}\r\n`))
  t.match(await client.head(), /^HTTP\/1\.1 101 /)
  t.equal(sockets.seen.length, 1)
  const logged = gateway.lines.filter((line) => line.includes('"route":"/all"'))
  t.match(logged[0], '"upstream":"canary"', 'the log names the upstream that was used')
})

test('a request that comes round is noticed with variants and a Host of its own', async (t) => {
  let own = ''
  const upstream = await startUpstream(t, async (req, res) => {
    const headers = { 'cdn-loop': String(req.headers['cdn-loop']), 'x-canary': '1' }
    const answer = await fetch(`${own}/loop`, { headers })
    res.writeHead(answer.status).end(await answer.text())
  })
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      upstreams: {
        app: { targets: [{ url: 'http://127.0.0.1:9' }] },
        back: { targets: [{ url: upstream.url }], host: 'a' }
      },
      routes: [
        {
          path: '/loop',
          upstream: 'app',
          auth: 'public',
          variants: [{ upstream: 'back', header: { 'x-canary': '1' } }]
        }
      ]
    }
  })
  own = gateway.url
  const answer = await gateway.call('/loop', { headers: { 'x-canary': '1' } })
  t.equal(answer.status, 508)
  t.equal(upstream.seen.length, 1)
})

const route = (rest: string) =>
  configText({
    upstreams: '{ orders: { targets: [{ url: http://a:1 }] }, canary: { targets: [{ url: http://b:1 }] } }',
    routes: `[{ path: /a, upstream: orders, ${rest} }]`
  })

test('the settings of variants are checked', async (t) => {
  const rejected: readonly (readonly [string, RegExp])[] = [
    [
      route('variants: [{ upstream: canari, share: 5% }]'),
      /^gateway\.yaml:4:\d+ routes\[0\]\.variants\[0\]\.upstream: there is no upstream "canari" \(did you mean "canary"\?\)$/
    ],
    [route('variants: [{ upstream: canary }]'), /variants\[0\]: needs a condition \(write env: \[trial\]/],
    [route('variants: [{ upstream: canary, header: {} }]'), /variants\[0\]: needs a condition/],
    [route('variants: [{ share: 5% }]'), /variants\[0\]\.upstream: is missing/],
    [route('variants: { upstream: canary, share: 5% }'), /variants: must be a list.*write \[\{ upstream: canary/],
    [route('canary: 5%'), /canary: unknown key \(write variants: /],
    [route('variants: [{ upstream: canary, env: [release] }]'), /env\[0\]: must be one of trial, develop/],
    [route('variants: [{ upstream: canary, env: [trial], share: 0.5 }]'), /share: must be a percentage such as 20%/],
    [
      route('variants: [{ upstream: canary, share: 60% }, { upstream: canary, share: 41% }]'),
      /variants\[1\]\.share: the shares of this route exceed 100%$/
    ],
    [route('auth: public, variants: [{ upstream: canary, share: 5% }]'), /share: cannot work here: a public route/],
    ...['Authorization', 'Host', 'X-OpenId', 'x_canary', 'X-Forwarded-For', 'Connection'].map(
      (name) =>
        [
          route(`variants: [{ upstream: canary, header: { ${name}: a } }]`),
          /variants\[0\]\.header\.\S+ never fits: /
        ] as const
    ),
    [
      route('requestHeaders: { set: { X-Canary: "1" } }, variants: [{ upstream: canary, header: { x-canary: "1" } }]'),
      /header\.x-canary: never fits: a route of this gateway sets it$/
    ]
  ]
  for (const [text, says] of rejected) t.match(problems(text), [says], text)
  t.same(
    warnings(route('variants: [{ upstream: canary, env: [trial, develop] }, { upstream: canary, share: 33% }]')),
    []
  )
})
