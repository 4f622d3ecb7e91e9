/** The sandbox, production, and warnings. */
import { test } from 'tap'
import { loadConfig } from '../src/config/load.ts'
import { configText, files, load, PEM, problems, warnings } from './support/config.ts'

test('the sandbox is used when every app belongs to it', async (t) => {
  const sandboxed = configText({ apps: '[{ appid: wx1234, secret: sandbox }]' })
  t.match(load(sandboxed), { ok: true, config: { wechat: { apiBase: 'sandbox' } } })
  t.match(load(configText({}, 'wechat: { apiBase: sandbox }')), {
    ok: true,
    config: { wechat: { apiBase: 'sandbox' } }
  })
  t.match(load(configText({}, 'wechat: { apiBase: "http://127.0.0.1:9400/" }')), {
    config: { wechat: { apiBase: 'http://127.0.0.1:9400' } }
  })
})

test('production refuses the sandbox, generated secrets and memory, unless each is allowed by name', async (t) => {
  const text = configText({ secrets: '[generated]', apps: '[{ appid: wx1234, secret: sandbox }]' }, 'store: memory')
  t.same(problems(text), [])
  t.match(problems(text, { production: true }), [
    /secrets\[0\]: a generated secret is refused when NODE_ENV=production \(.*--allow generated-secrets or WXGATE_ALLOW=generated-secrets\)/,
    /apps\[0\]\.secret: the sandbox is refused when NODE_ENV=production \(.*--allow sandbox or WXGATE_ALLOW=sandbox\)/,
    /store: a store in memory.*--allow memory-store or WXGATE_ALLOW=memory-store\)/
  ])
  t.match(problems(text, { production: true, allow: new Set(['sandbox', 'memory-store']) }), [
    /^gateway\.yaml:1:11 secrets\[0\]/
  ])
  t.same(problems(text, { production: true, allow: new Set(['sandbox', 'memory-store', 'generated-secrets']) }), [])
})

test('an allowed dangerous setting is a warning', async (t) => {
  t.match(warnings(configText({}, 'service: { host: 0.0.0.0 }')), [
    /service\.host: the service listener can be reached/
  ])
  t.match(
    warnings(
      configText({ upstreams: '{ orders: { targets: [{ url: https://h }], tls: { insecureSkipVerify: true } } }' })
    ),
    [/CERTIFICATES ARE NOT VERIFIED/]
  )
  t.match(warnings(configText({}, 'wechat: { apiBase: http://proxy.internal }')), [/every AppSecret travels in clear/])
  t.match(warnings(configText({}, 'store: redis://redis.internal')), [/sessions travel in clear/])
})

test('paths are relative to the file', async (t) => {
  const readFile = files({
    '/etc/wxgate/tls/a.pem': { text: PEM.cert, mode: 0o644 },
    '/etc/wxgate/tls/b.pem': { text: PEM.key }
  })
  const text = configText(
    {},
    'server: { tls: { cert: { file: tls/a.pem }, key: { file: ./tls/b.pem } } }\nstore: sqlite:data/x.db'
  )
  const result = loadConfig({
    file: 'wxgate/gateway.yaml',
    cwd: '/etc',
    text,
    env: {},
    readFile,
    production: false,
    allow: new Set()
  })
  t.match(result, {
    ok: true,
    warnings: [],
    config: {
      store: 'sqlite:/etc/wxgate/data/x.db',
      server: { tls: { certFile: '/etc/wxgate/tls/a.pem', keyFile: '/etc/wxgate/tls/b.pem' } }
    }
  })
})
