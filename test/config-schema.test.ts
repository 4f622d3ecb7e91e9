// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml, not of JavaScript
/** The published schema, the reference built from it, and the files of the repository that
 *  follow them. */
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { test } from 'tap'
import { parseDocument } from 'yaml'
import { translationFaults } from '../scripts/translations.ts'
import { loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problem.ts'
import { publishedSchema } from '../src/config/published-schema.ts'
import { checkedSchema, type JsonSchema, parts } from '../src/config/schema.ts'
import { PEM, SECRET } from './support/config.ts'
import { generateRsa } from './support/pay.ts'
import { runProgram } from './support/programs.ts'

const root = new URL('../', import.meta.url)
const own = readFileSync(new URL('gateway.yaml', root), 'utf8')
const example = readFileSync(new URL('config/gateway.example.yaml', root), 'utf8')
const validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(publishedSchema())
const asEditorsSee = (text: string): unknown => parseDocument(text).toJS()

test('the generated files are up to date', async (t) => {
  const { status, stderr } = await runProgram(process.execPath, ['scripts/generate.ts', '--check'], { cwd: root })
  t.equal(status, 0, stderr)
})

test('a missing Chinese text, a change of the English text and a removed name are faults of a translation', async (t) => {
  const described = new Map([
    ['server.host', 'Address.'],
    ['server.port', 'Port.'],
    ['server.workers', 'Processes.']
  ])
  const translations = new Map([
    ['server.host', { en: 'Address.', zh: '地址。' }],
    ['server.port', { en: 'Number.', zh: '数字。' }],
    ['server.gone', { en: 'Gone.', zh: '已删除。' }]
  ])
  t.same(translationFaults(described, translations), [
    'server.port: the Chinese text translates "Number.", the English one is now "Port."',
    'server.workers has no Chinese text',
    'server.gone has a Chinese text and no English one'
  ])
})

test('every key has a description, and no mapping accepts unknown keys', async (t) => {
  const visit = (schema: JsonSchema, path: string): void => {
    if (schema.properties !== undefined || schema.patternProperties !== undefined) {
      t.equal(schema.additionalProperties, false, `${path} is closed`)
    }
    for (const [key, part] of Object.entries(schema.properties ?? {})) {
      if (!/^[`A-Z].*\.$/.test(part.description ?? '')) t.fail(`${path}.${key} is not described`)
    }
    for (const part of parts(schema)) visit(part, `${path}/${part.description ?? ''}`)
  }
  visit(checkedSchema, '')
})

test('only apps, secrets, upstreams and routes have no default', async (t) => {
  t.same(checkedSchema.required?.toSorted(), ['apps', 'routes', 'secrets', 'upstreams'])
})

test('editors accept placeholders, and report faults', async (t) => {
  t.ok(validate(asEditorsSee(own)), JSON.stringify(validate.errors))
  const written = asEditorsSee(own) as Record<string, unknown>
  t.ok(
    validate({
      ...written,
      server: { port: '${PORT:-8080}', workers: '${N}', tls: { cert: { file: 'a' }, key: { file: 'b' } } }
    })
  )
  t.ok(validate({ ...written, logging: { access: '${A}', level: '${L}' }, tokens: { accessTtl: '${T}' } }))
  for (const wrong of [
    { server: { port: 'x' } },
    { server: { prot: 1 } },
    { tokens: { accessTtl: '1w' } },
    { logging: { access: 'no' } }
  ]) {
    t.notOk(validate({ ...written, ...wrong }), JSON.stringify(wrong))
  }
})

test("the repository's own file starts without variables, in the sandbox", async (t) => {
  const result = loadConfig({
    file: 'gateway.yaml',
    cwd: '/srv',
    text: own,
    env: {},
    production: false,
    allow: new Set()
  })
  t.match(result, {
    ok: true,
    warnings: [],
    config: { wechat: { apiBase: 'sandbox' }, secrets: ['generated'], store: 'sqlite:/srv/data/wxgate.db' }
  })
  t.match(own, /^# yaml-language-server: \$schema=\.\/config\/gateway\.schema\.json\n/)
})

test("the repository's own file serves production with four variables, and refuses it without them", async (t) => {
  const env = {
    WECHAT_APPID: 'wx1234567890abcdef',
    WECHAT_APPSECRET: '0123456789abcdef0123456789abcdef',
    WXGATE_SECRET: SECRET,
    ORDERS_URL: 'http://10.0.0.5:3000'
  }
  const base = { file: 'gateway.yaml', cwd: '/srv', text: own, production: true, allow: new Set<string>() }
  t.match(loadConfig({ ...base, env }), {
    ok: true,
    warnings: [],
    config: {
      wechat: { apiBase: 'https://api.weixin.qq.com' },
      apps: [{ appId: env.WECHAT_APPID, secret: env.WECHAT_APPSECRET }],
      secrets: [SECRET],
      upstreams: [{ targets: [{ url: env.ORDERS_URL }] }]
    }
  })
  t.match(loadConfig({ ...base, env: {} }), {
    ok: false,
    problems: [{ path: 'secrets[0]' }, { path: 'apps[0].secret' }]
  })
})

test('the example of the reference is valid, in the check and in editors', async (t) => {
  const pem = (path: string) =>
    path.includes('rsa') ? generateRsa().privateKey : path.includes('key') ? PEM.key : PEM.cert
  const readFile = (path: string) => ({
    content: Buffer.from(path.endsWith('.pem') ? pem(path) : `${path}-${SECRET}`),
    mode: 0o600
  })
  const env = {
    ORDERS_SERVICE_TOKEN: 'hT5wQz8Lr2Nk6Yv0',
    WXGATE_SECRET: SECRET,
    SHOP_APPSECRET: 'a',
    SHOP_PAY_KEY: 'b',
    MAILER_SERVICE_TOKEN: 'Rk3vTz9QpL7xWm2c',
    PROXY_PASSWORD: 'd',
    PAY_V3_KEY: '0123456789abcdefghijklmnopqrstuv',
    REDIS_PASSWORD: 'c',
    OTLP_TOKEN: 'd'
  }
  const result = loadConfig({
    file: 'gateway.yaml',
    cwd: '/srv',
    text: example,
    env,
    readFile,
    production: true,
    allow: new Set()
  })
  if (!result.ok) t.fail(result.problems.map(formatProblem).join('\n'))
  t.same(result.warnings, [])
  t.match(result, {
    config: {
      upstreams: [{ retries: { on: ['connect', '503'] } }, {}],
      login: { hook: { timeout: 2000 } },
      store: 'rediss://wxgate:c@redis.internal:6379'
    }
  })
  // Editors parse plain YAML, in which a placeholder inside { } must be in quotes.
  const quoted = example.replace(/\$\{[A-Z_]+\}(?=,| })/g, '"$&"')
  t.ok(validate(asEditorsSee(quoted)), JSON.stringify(validate.errors))
})
