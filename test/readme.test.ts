/** Runs the README in both languages: its commands do what it describes. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { parse } from 'yaml'
import { commandNames } from '../src/cli/commands.ts'
import { loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problem.ts'
import { catalogue } from '../src/errors.ts'
import { APPID, buildTestGateway, SECRET, type TestGateway } from './support/gateway.ts'
import type { Teardown } from './support/listen.ts'
import { blocksOf, codesIn, headingsOf, linksOf, readDocument, tableOf } from './support/markdown.ts'
import { freePort, startProcess, writeConfig } from './support/process.ts'
import { findProgram } from './support/programs.ts'
import { PATIENCE, until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const run = promisify(execFile)
const english = readDocument('README.md')
const chinese = readDocument('README.zh-CN.md')
const languages = { english, chinese }

async function bash(script: string): Promise<string> {
  const { stdout } = await run('bash', ['-eu', '-o', 'pipefail', '-c', script], { timeout: PATIENCE })
  return stdout
}

/** `npm start`, on its own ports and files. */
async function startDemo(t: Teardown) {
  const { folder } = writeConfig(t, {})
  const [edge, service, orders] = [await freePort(), await freePort(), await freePort()]
  const demo = startProcess(t, ['demo'], {
    WXGATE_HOST: '127.0.0.1',
    WXGATE_PORT: String(edge),
    WXGATE_SERVICE_PORT: String(service),
    ORDERS_PORT: String(orders),
    WXGATE_STORE: `sqlite:${join(folder, 'wxgate.db')}`,
    ORDERS_DB: join(folder, 'orders.db')
  })
  await until(() => demo.output().includes('Bearer $(') || demo.child.exitCode !== null)
  if (demo.child.exitCode !== null) throw new Error(demo.output())
  return { output: demo.output(), edgeUrl: `http://127.0.0.1:${edge}` }
}

test('the output of npm start, and the commands of the README, log in and list orders', async (t) => {
  const { scripts } = JSON.parse(readDocument('package.json')) as { scripts: Record<string, string> }
  t.equal(scripts.start, 'node bin/wxgate.js demo')
  if (findProgram(t, 'curl') === null) return
  const { output, edgeUrl } = await startDemo(t)

  await t.test('the lines printed', async (t) => {
    const lines = output.split('\n').filter((line) => line.trim().startsWith('curl '))
    t.equal(lines.length, 2)
    t.match(JSON.parse(await bash(lines[0] ?? '')), { token_type: 'Bearer', user: { is_new: true } })
    t.match(JSON.parse(await bash(lines[1] ?? '')), { orders: [] })
  })

  for (const [language, readme] of Object.entries(languages)) {
    await t.test(`the blocks of the README, ${language}`, async (t) => {
      const script = blocksOf(readme, 'sh').map((block) => block.text)
      // Each language has its own user: a login repeated within ten seconds is the same login, and
      // the first one logs out.
      const typed = script.join('').replaceAll('http://127.0.0.1:8080', edgeUrl).replace('alice', `alice_${language}`)
      const answers = (await bash(typed)).split(/(?<=\})(?=\{)/).map((answer) => JSON.parse(answer) as object)
      t.match(answers, [
        { product_id: 'tea-250' },
        { orders: [{ product_id: 'tea-250' }] },
        { code: 'token_missing', status: 401 },
        { code: 'session_revoked', status: 401 }
      ])
      t.equal(answers.length, 4)
    })
  }
})

test('the commands for a trial start a backend and print a line that logs in and calls it', async (t) => {
  const [commands = [], chineseCommands] = [english, chinese].map((readme) =>
    [...readme.matchAll(/^npx wxgate (.*)$/gm)].map(([, command = '']) => command)
  )
  t.same(chineseCommands, commands, 'the same in both languages')
  const [first, second] = [commands.indexOf('echo'), commands.findIndex((command) => command.startsWith('dev --to'))]
  t.ok(first >= 0 && first < second, 'the backend comes first')
  if (findProgram(t, 'curl') === null) return
  const backend = await freePort()
  const echo = startProcess(t, ['echo', '--port', String(backend)])
  await until(() => echo.output().includes('Echo backend on'))
  const args = (commands[second] ?? '').replace(':3000', `:${backend}`).split(' ')
  const dev = startProcess(t, [...args, '--port', String(await freePort())])
  await until(() => dev.output().includes('Bearer $('))
  const [, call = ''] = [...dev.output().matchAll(/^ {2}(curl .*)$/gm)].map(([, line = '']) => line)
  t.match(JSON.parse(await bash(call)), { url: '/api', headers: { 'x-appid': 'wxsandbox00000001' } })
  for (const { child, exited } of [dev, echo]) {
    child.kill('SIGINT')
    t.equal(await exited, 0)
  }
})

test('every gateway.yaml shown is a valid one, the same in both languages', (t) => {
  const env = { WXGATE_SECRET: SECRET, WECHAT_APPID: APPID, WECHAT_APPSECRET: '0123456789abcdef0123456789abcdef' }
  const load = (text: string) => {
    const loaded = loadConfig({ file: 'gateway.yaml', text, env, production: true, allow: new Set() })
    t.same(loaded.ok ? [] : loaded.problems.map(formatProblem), [])
    t.same(loaded.warnings.map(formatProblem), [])
    return parse(text) as unknown
  }
  const [first, second] = [english, chinese].map((readme) => blocksOf(readme, 'yaml').map(({ text }) => load(text)))
  t.equal(first?.length, 2)
  t.same(first, second)
  t.end()
})

async function startMinimal(
  t: Teardown
): Promise<{ gateway: TestGateway; seen: readonly { url: string; headers: object }[] }> {
  const upstream = await startUpstream(t)
  const values: Record<string, string> = { WXGATE_SECRET: SECRET, WECHAT_APPID: APPID, WECHAT_APPSECRET: 'sandbox' }
  const written = blocksOf(english, 'yaml')[0]?.text ?? ''
  const config = parse(
    written
      .replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? '')
      .replace('http://127.0.0.1:3000', upstream.url)
  ) as Record<string, unknown>
  return { gateway: await buildTestGateway(t, upstream.url, { config }), seen: upstream.seen }
}

test('the minimal gateway.yaml puts a backend behind the gateway', async (t) => {
  const { gateway, seen } = await startMinimal(t)
  const login = await gateway.login('alice')
  t.equal((await gateway.call('/api/anything', { token: login.access_token })).status, 200)
  t.equal((await gateway.call('/api/anything')).status, 401)
  t.equal(seen.length, 1)
  t.match(seen[0], { url: '/api/anything', headers: { 'x-appid': APPID, 'x-user-id': login.user.id } })

  const { status: _, ...answer } = login
  for (const readme of [english, chinese]) {
    const shown = JSON.parse(blocksOf(readme, 'json')[0]?.text ?? '') as Record<string, object>
    t.same(Object.keys(shown), Object.keys(answer))
    t.same(Object.keys(shown.user ?? {}), Object.keys(login.user))
    t.match(answer, {
      token_type: shown.token_type,
      expires_in: shown.expires_in,
      refresh_expires_in: shown.refresh_expires_in
    })
  }
})

test('the code for mini-programs logs in and calls', async (t) => {
  const { gateway, seen } = await startMinimal(t)
  for (const readme of [english, chinese]) {
    const storage = new Map<string, unknown>()
    const printed: unknown[] = []
    let pending: Promise<void> = Promise.resolve()
    const wx = {
      login: ({ success }: { success(result: { code: string }): void }) => success({ code: 'sandbox-alice' }),
      setStorageSync: (key: string, value: unknown) => void storage.set(key, value),
      getStorageSync: (key: string) => storage.get(key) ?? '',
      request(options: {
        url: string
        method?: string
        header?: Record<string, string>
        data?: unknown
        success(result: { statusCode: number; data: unknown }): void
      }) {
        const { pathname } = new URL(options.url)
        pending = gateway
          .call(pathname, {
            method: options.method ?? 'GET',
            headers: { 'content-type': 'application/json', ...options.header },
            ...(options.data === undefined ? {} : { body: JSON.stringify(options.data) })
          })
          .then(async (response) => options.success({ statusCode: response.status, data: await response.json() }))
      }
    }
    for (const { text } of blocksOf(readme, 'js')) {
      new Function('wx', 'console', text)(wx, { log: (value: unknown) => printed.push(value) })
      await pending
    }
    t.match(storage.get('tokens'), { access_token: String })
    t.equal(printed.length, 1)
    t.equal(seen.at(-1)?.url, '/api/orders')
  }
})

test('the command line has the commands that the README lists, and no other', (t) => {
  for (const [readme, head] of [
    [english, 'command'],
    [chinese, '命令']
  ] as const) {
    const listed = tableOf(readme, head).map(([cell = '']) => /^`wxgate (\w+)/.exec(cell)?.[1])
    t.same([...listed].sort(), [...commandNames].sort())
  }
  t.end()
})

test('the README tells the actions of the error catalogue, each with codes that have it', (t) => {
  const actions = new Set(Object.values(catalogue).map(({ action }) => action))
  for (const readme of [english, chinese]) {
    const rows = tableOf(readme, 'action')
    t.same(new Set(rows.map(([cell = '']) => codesIn(cell)[0])), actions)
    for (const [action = '', , examples = ''] of rows) {
      for (const code of codesIn(examples)) {
        t.match(catalogue[code as keyof typeof catalogue], { action: codesIn(action)[0] }, code)
      }
    }
  }
  t.end()
})

test('both languages have the same parts, in the same order', (t) => {
  const shape = (readme: string) => readme.split('\n').flatMap((line) => /^(#+|```\w+|\|)/.exec(line)?.[0] ?? [])
  t.same(
    headingsOf(chinese).map(({ level }) => level),
    headingsOf(english).map(({ level }) => level)
  )
  t.same(shape(chinese), shape(english))
  const targets = (readme: string) =>
    new Set(linksOf(readme).map((link) => link.replace('.zh-CN.md', '.md').replace('.zh-CN.png', '.en.png')))
  t.same(targets(chinese), targets(english))
  t.end()
})
