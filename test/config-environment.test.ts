/** The environment: defaults for keys that the file leaves out, NODE_ENV, permissions by name, and
 *  what is warned of. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { writeFault } from '../src/config/files.ts'
import { loadConfig } from '../src/config/load.ts'
import { wxgate } from './support/cli.ts'
import { configText, files, load, PEM, problems, warnings } from './support/config.ts'

function folder(t: Test, text: string): string {
  const path = mkdtempSync(join(tmpdir(), 'wxgate-environment-'))
  t.teardown(() => {
    chmodSync(path, 0o700)
    rmSync(path, { recursive: true })
  })
  writeFileSync(join(path, 'gateway.yaml'), text)
  return path
}

test('a variable is the default of a key that the file leaves out', async (t) => {
  const env = {
    WXGATE_STORE: 'sqlite:/data/wxgate.db',
    WXGATE_HOST: '127.0.0.1',
    WXGATE_PORT: '8081',
    WXGATE_SERVICE_HOST: '::1',
    WXGATE_SERVICE_PORT: '9091',
    WXGATE_LOG_LEVEL: 'warn'
  }
  t.match(load(configText(), { env }), {
    ok: true,
    config: {
      store: 'sqlite:/data/wxgate.db',
      server: { host: '127.0.0.1', port: 8081 },
      service: { host: '::1', port: 9091 },
      logging: { level: 'warn' }
    }
  })
  t.match(load(configText({}, 'server: { workers: 2 }\nlogging: { access: false }'), { env }), {
    config: { server: { port: 8081, workers: 2 }, logging: { level: 'warn', access: false } }
  })
})

test('a key in the file takes precedence over its variable, and an empty variable is ignored', async (t) => {
  const text = configText({}, 'store: redis://127.0.0.1\nserver: { port: 80 }')
  t.match(load(text, { env: { WXGATE_STORE: 'memory', WXGATE_PORT: '81' } }), {
    config: { store: 'redis://127.0.0.1', server: { port: 80 } }
  })
  t.match(load(configText(), { env: { WXGATE_STORE: '', WXGATE_PORT: '' } }), {
    config: { store: 'sqlite:/etc/wxgate/data/wxgate.db', server: { port: 8080 } }
  })
})

test('a problem with a variable names the variable', async (t) => {
  t.match(problems(configText(), { env: { WXGATE_PORT: 'http' } }), [
    /server\.port: must be a whole number, in the environment variable WXGATE_PORT/
  ])
  t.match(problems(configText(), { env: { WXGATE_STORE: 'data/x.db' } }), [
    /store: must be memory, .*, in the environment variable WXGATE_STORE/
  ])
  t.match(warnings(configText(), { env: { WXGATE_SERVICE_HOST: '0.0.0.0' } }), [
    /service\.host: .*, in the environment variable WXGATE_SERVICE_HOST \(to allow it: --allow service-public/
  ])
  t.match(problems(configText({}, 'server: 1'), { env: { WXGATE_PORT: '81' } }), [/server: must be a mapping/])
})

test('each warning about an intended setting is accepted by its name, also with --strict', async (t) => {
  const texts = {
    'service-public': configText({}, 'service: { host: 0.0.0.0 }'),
    'plain-redis': configText({}, 'store: redis://redis.internal'),
    'public-catch-all': configText({
      routes: '[{ path: /, upstream: orders, auth: public }, { path: /admin, upstream: orders }]'
    })
  }
  for (const [name, text] of Object.entries(texts)) {
    const cwd = folder(t, text)
    t.match(await wxgate(['validate', '--strict'], { cwd }), { status: 2, stderr: new RegExp(`--allow ${name}`) }, name)
    t.match(await wxgate(['validate', '--strict', '--allow', name], { cwd }), { status: 0 }, name)
    t.match(await wxgate(['validate', '--strict'], { env: { WXGATE_ALLOW: name }, cwd }), { status: 0 }, name)
  }
})

test('an unknown NODE_ENV is a warning', async (t) => {
  const cwd = folder(t, configText({ apps: '[{ appid: wx1234, secret: sandbox }]' }))
  for (const mode of ['prod', 'Production', 'staging', 'PRODUCTION', 'live']) {
    const says = /NODE_ENV is ".*", which is unknown: the rules of production do not apply/
    t.match(await wxgate(['validate'], { env: { NODE_ENV: mode }, cwd }), { status: 0, stderr: says }, mode)
    t.match(await wxgate(['validate', '--strict'], { env: { NODE_ENV: mode }, cwd }), { status: 2 }, mode)
  }
  t.match(await wxgate(['validate'], { env: { NODE_ENV: 'prod' }, cwd }), { stderr: /did you mean "production"\?/ })
  for (const mode of ['development', 'test', ''])
    t.match(await wxgate(['validate', '--strict'], { env: { NODE_ENV: mode }, cwd }), { status: 0 }, mode)
  t.match(await wxgate(['validate'], { env: { NODE_ENV: 'production' }, cwd }), {
    status: 2,
    stderr: /the sandbox is refused/
  })
})

test('validate refuses a sqlite store that cannot be written, and creates nothing', async (t) => {
  const cwd = folder(t, configText({}, 'store: sqlite:gateway.yaml/x/wxgate.db'))
  t.match(await wxgate(['validate'], { cwd }), {
    status: 2,
    stderr: /store: the file cannot be written: .*gateway\.yaml/
  })
  const good = folder(t, configText())
  t.match(await wxgate(['validate'], { cwd: good }), { status: 0 })
  t.same(readdirSync(good), ['gateway.yaml'])
  mkdirSync(join(good, 'data/wxgate.db'), { recursive: true })
  t.match(await wxgate(['validate'], { cwd: good }), { status: 2, stderr: /it is not a regular file/ })
  t.match(
    load(configText({}, 'store: sqlite:/proc/x/wxgate.db')),
    { ok: true },
    'loading alone does not touch the disk'
  )
})

test('a folder without write permission is named with the reason', async (t) => {
  const path = folder(t, '')
  chmodSync(path, 0o500)
  const fault = writeFault(join(path, 'data/wxgate.db'))
  // root may write everywhere.
  t.equal(fault, process.geteuid?.() === 0 ? null : `permission denied (${path})`)
  t.match(writeFault('/proc/nowhere/wxgate.db'), process.geteuid?.() === 0 ? null : /permission denied \(\/proc\)/)
})

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
      server: { tls: [{ certFile: '/etc/wxgate/tls/a.pem', keyFile: '/etc/wxgate/tls/b.pem' }] }
    }
  })
})
