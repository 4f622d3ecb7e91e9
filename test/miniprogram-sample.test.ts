/** The sample mini-program: complete, and its pages work against the real gateway and the
 *  sample business service. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createOrdersService } from '../examples/orders/server.ts'
import { buildTestGateway } from './support/gateway.ts'
import { startMiniProgram } from './support/mini-program.ts'
import { createWx, type TestWx } from './support/wx.ts'

const root = join(import.meta.dirname, '../examples/miniprogram')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const readJson = (path: string) => JSON.parse(read(path))
const pages: string[] = readJson('app.json').pages

interface Page {
  data: Record<string, unknown>
  setData(change: Record<string, unknown>): void
  [handler: string]: unknown
}

interface Sample {
  readonly wx: TestWx
  /** Opens a page as WeChat does. */
  open(path: string): Promise<Page>
  /** Runs a handler of a page, as an event would. */
  run(page: Page, handler: string, event?: object): Promise<void>
}

const config = { baseUrl: 'http://127.0.0.1:9', sandboxUser: '' }

async function start(t: Test, settings: Partial<typeof config> = {}): Promise<Sample> {
  const wx = createWx(t)
  let opened: Page | undefined
  const app: { onLaunch?: () => void } = {}
  const program = startMiniProgram({
    root,
    wx,
    globals: {
      App: (options: object) => Object.assign(app, options),
      Page(options: Page) {
        opened = {
          ...options,
          data: structuredClone(options.data),
          setData: (change) => Object.assign(page.data, change)
        }
        const page = opened
      },
      getApp: () => app
    },
    modules: { 'config.js': { ...config, ...settings } }
  })
  program.load('app.js')
  app.onLaunch?.()

  const run: Sample['run'] = async (page, handler, event) => {
    const method = page[handler]
    if (typeof method !== 'function') throw new Error(`no handler ${handler}`)
    await method.call(page, event)
  }
  return {
    wx,
    run,
    async open(path) {
      program.load(`${path}.js`)
      if (!opened) throw new Error(`${path} calls no Page()`)
      const page = opened
      if (page.onLoad) await run(page, 'onLoad')
      if (page.onShow) await run(page, 'onShow')
      return page
    }
  }
}

async function startShop(t: Test) {
  const orders = createOrdersService({ file: ':memory:' })
  const port = await orders.listen(0, '127.0.0.1')
  t.teardown(() => orders.close())
  return buildTestGateway(t, `http://127.0.0.1:${port}`, {
    config: {
      routes: [
        { path: '/api/orders', upstream: 'app', stripPrefix: '/api' },
        { path: '/api/products', upstream: 'app', auth: 'public', methods: ['GET'], stripPrefix: '/api' }
      ]
    }
  })
}

test("every page has its four files, and the project opens without a developer's AppID", async (t) => {
  t.ok(pages.length >= 2)
  for (const page of pages) {
    for (const type of ['js', 'json', 'wxml', 'wxss'])
      t.ok(existsSync(join(root, `${page}.${type}`)), `${page}.${type}`)
    t.type(readJson(`${page}.json`), 'object')
  }
  const { tabBar, sitemapLocation } = readJson('app.json')
  for (const { pagePath } of tabBar.list) t.ok(pages.includes(pagePath))
  t.ok(readJson(sitemapLocation).rules)
  const project = readJson('project.config.json')
  t.equal(project.appid, 'touristappid')
  t.equal(project.compileType, 'miniprogram')
  t.equal(project.setting.urlCheck, false, 'otherwise the tools refuse a gateway on this machine')
})

test('WXML is balanced, and names only handlers and data that the page has', async (t) => {
  const sample = await start(t)
  for (const path of pages) {
    const page = await sample.open(path)
    const markup = read(`${path}.wxml`)
    const open: string[] = []
    for (const [, closing, tag, , selfClosing] of markup.matchAll(/<(\/?)([a-z-]+)((?:[^>"]|"[^"]*")*?)(\/?)>/g)) {
      if (closing) t.equal(open.pop(), tag, `</${tag}> in ${path}`)
      else if (!selfClosing && tag) open.push(tag)
    }
    t.same(open, [])
    const handlers = [...markup.matchAll(/\b(?:bind|catch):?[a-z]+="(\w+)"/g)].map(([, name]) => name ?? '')
    t.ok(handlers.length > 0)
    for (const name of handlers) t.type(page[name], 'function', `${name} of ${path}`)
    for (const [, expression = ''] of markup.matchAll(/\{\{(.*?)\}\}/g)) {
      const withoutText = expression.replace(/'[^']*'/g, '')
      for (const [name] of withoutText.matchAll(/(?<![.\w])[a-z]\w*/gi))
        t.ok(name === 'item' || name in page.data, name)
    }
  }
})

test('the pages list and create orders, with one login', async (t) => {
  const gateway = await startShop(t)
  const sample = await start(t, { baseUrl: gateway.url })
  const index = await sample.open('pages/index/index')
  t.match(index.data, { message: '', isBusy: false, userId: /./, orders: [] })
  const products = index.data.products as { id: string; price: string }[]
  t.ok(products.length > 0)
  t.match(products[0]?.price, /^\d+\.\d\d$/)
  for (const { id } of products.slice(0, 2)) await sample.run(index, 'order', { currentTarget: { dataset: { id } } })
  t.equal(index.data.message, '')
  t.equal((index.data.orders as unknown[]).length, 2)
  t.equal(sample.wx.calls.login, 1)
  t.equal((await sample.open('pages/index/index')).data.userId, index.data.userId)
})

test('the profile binds a phone number, logs out and logs in', async (t) => {
  const gateway = await startShop(t)
  const sample = await start(t, { baseUrl: gateway.url })
  const profile = await sample.open('pages/profile/profile')
  await sample.run(profile, 'login')
  t.match(profile.data, { status: 'anonymous', userId: /./, message: '' })
  const refused = { errMsg: 'getPhoneNumber:fail user deny' }
  await sample.run(profile, 'bindPhone', { detail: refused })
  t.match(profile.data, { phone: '', message: /./ })
  await sample.run(profile, 'bindPhone', {
    detail: { errMsg: 'getPhoneNumber:ok', code: 'sandbox-phone-alice-sample' }
  })
  t.match(profile.data, { phone: /\*{4}/, status: 'bound', message: '' })
  await sample.run(profile, 'logout')
  t.match(profile.data, { userId: '', status: '', message: '' })
  t.equal(sample.wx.storage.size, 0)
  await sample.run(profile, 'login')
  await sample.run(profile, 'logoutEverywhere')
  t.match(profile.data, { userId: '', message: '' })
  await sample.run(profile, 'onUnload')
})

test("without a developer's AppID the sample is a user of the sandbox", async (t) => {
  const gateway = await startShop(t)
  const sample = await start(t, { baseUrl: gateway.url, sandboxUser: 'bob' })
  const index = await sample.open('pages/index/index')
  t.match(index.data, { message: '', userId: /./ })
  const profile = await sample.open('pages/profile/profile')
  await sample.run(profile, 'bindPhone', { detail: { errMsg: 'getPhoneNumber:fail' } })
  t.match(profile.data, { phone: /\*{4}/, status: 'bound', message: '' })
  t.equal(sample.wx.calls.login, 0, 'the codes of the developer tools are not used')
})

test('the pages report an unreachable gateway', async (t) => {
  const sample = await start(t)
  const index = await sample.open('pages/index/index')
  t.match(index.data, { message: /could not be reached/, isBusy: false, userId: '' })
})
