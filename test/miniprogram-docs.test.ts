/** The pages of the client: their code runs, their tables are complete, and both languages
 *  agree. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { startEchoSocket } from './support/echo-socket.ts'
import { modulesOf } from './support/framework-pages.ts'
import { createTaro, createUni } from './support/frameworks.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { startMiniProgram } from './support/mini-program.ts'
import { until } from './support/until.ts'
import { createWx } from './support/wx.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const english = read('docs/miniprogram.md')
const chinese = read('docs/miniprogram.zh-CN.md')

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, named]) => named === language)
    .map(([, , code]) => code ?? '')
}

/** First cells of all table rows. */
function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name ?? '')
}

test('both languages have the same code and the same tables', async (t) => {
  for (const language of ['js', 'sh']) t.strictSame(blocks(chinese, language), blocks(english, language))
  t.strictSame(firstCells(chinese), firstCells(english))
  const headings = (text: string) => [...text.matchAll(/^#+ /gm)].map(String)
  t.strictSame(headings(chinese), headings(english))
})

test('every code of the client is in the table, and no other', async (t) => {
  const union = /type ClientErrorCode =(.*?)\n\n/s.exec(read('miniprogram/src/errors.ts'))?.[1] ?? ''
  const codes = [...union.matchAll(/^\s*\| '(\w+)'/gm)].map(([, code]) => code)
  const table = english.slice(english.indexOf('| code | when |'), english.indexOf('## Limits'))
  t.ok(codes.length > 5)
  t.strictSame(firstCells(table), codes)
})

test('the code of the documentation runs against the gateway', async (t) => {
  const echo = await startEchoSocket(t)
  const gateway = await buildTestGateway(t, echo.url, {
    config: {
      routes: [
        { path: '/api', upstream: 'app' },
        { path: '/api/products', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const wx = Object.assign(createWx(t), {
    showToast() {},
    async getWeRunData() {
      const response = await fetch(`${gateway.sandboxUrl}/sandbox/open-data`, {
        method: 'POST',
        body: JSON.stringify({ appid: APPID, user: 'alice', data: { stepInfoList: [] } })
      })
      return response.json()
    }
  })
  wx.files.set('wxfile://tmp/photo.jpg', Buffer.from('JPEG'))
  const pages: { onPhone(event: object): Promise<void>; setData(change: object): void }[] = []
  // The first block makes the client; the others are independent of one another.
  const [first = '', ...others] = blocks(english, 'js')
  const body = first + others.map((code) => `{\n${code}\n}\n`).join('')
  const program = startMiniProgram({
    root: join(root, 'examples/miniprogram'),
    wx,
    globals: { Page: (page: (typeof pages)[number]) => pages.push(page) },
    sources: {
      'docs.js': `module.exports = async function () {${body.replaceAll('https://gateway.example.com', gateway.url)}}`
    }
  })
  t.ok(others.length >= 8)
  await (program.load('docs.js') as () => Promise<void>)()
  const shown: unknown[] = []
  for (const page of pages) {
    page.setData = (change) => shown.push(change)
    await page.onPhone({ detail: { code: 'sandbox-phone-alice-docs' } })
  }
  t.match(shown, [{ phone: /\*{4}/ }])
})

/** A phone over the gateway, with the functions of `wx` that the pages about frameworks use. */
async function startPhone(t: Test) {
  const echo = await startEchoSocket(t)
  const gateway = await buildTestGateway(t, echo.url, { config: { routes: [{ path: '/api', upstream: 'app' }] } })
  const shown: string[] = []
  const wx = Object.assign(createWx(t), {
    showToast: ({ title }: { title: string }) => void shown.push(title),
    chooseImage({ success }: { success(result: object): void }) {
      success({ tempFilePaths: ['wxfile://tmp/1.jpg', 'wxfile://tmp/2.jpg'] })
    }
  })
  for (const name of ['1', '2']) wx.files.set(`wxfile://tmp/${name}.jpg`, Buffer.from('JPEG'))
  /** Loads the files of a page, which the bundler of the framework would put together. */
  const load = (page: string, modules: Record<string, unknown>, globals: Record<string, unknown> = {}) => {
    const sources = Object.entries(modulesOf(read(page))).map(([path, text]) => [
      path,
      text.replaceAll('https://gateway.example.com', gateway.url)
    ])
    const program = startMiniProgram({ root: '/', wx, modules, globals, sources: Object.fromEntries(sources) })
    return <Exports>(path: string) => program.load(path) as Exports
  }
  const paths = () => wx.sent.map(({ url }) => url.slice(gateway.url.length))
  return { gateway, wx, shown, load, paths }
}

interface Pages {
  loadOrders(): Promise<unknown>
  sendPhotos(show: (percent: number) => void): Promise<void>
  choosePhotos(show: (percent: number) => void): void
  bindPhone(event: object): Promise<string>
  useLogin(): void
}

test('the code of the page about Taro runs with Taro against the gateway', async (t) => {
  for (const page of ['docs/miniprogram-taro.md', 'docs/miniprogram-taro.zh-CN.md']) {
    const { wx, shown, load, paths } = await startPhone(t)
    const taro = createTaro(wx)
    const launched: (() => void)[] = []
    const exports = { __esModule: true, default: taro, useLaunch: (run: () => void) => void launched.push(run) }
    const program = load(page, { '@tarojs/taro': exports })
    program<Pages>('src/use-login.js').useLogin()
    for (const run of launched) run()
    t.ok(await program<Pages>('src/orders.js').loadOrders())
    await program<Pages>('src/photos.js').sendPhotos(() => {})
    const phone = program<Pages>('src/phone.js').bindPhone({ detail: { code: 'sandbox-phone-alice-page' } })
    t.match(await phone, /\*{4}/)
    t.strictSame(paths(), ['/auth/login', '/api/orders', '/api/photos', '/api/photos', '/auth/phone'])
    t.strictSame(shown, [])
  }
})

interface Component {
  onLaunch(): void
  data(): { phone: string }
  readonly methods: { onPhone(this: object, event: object): Promise<void> }
}

test('the code of the page about uni-app runs with uni against the gateway', async (t) => {
  for (const page of ['docs/miniprogram-uniapp.md', 'docs/miniprogram-uniapp.zh-CN.md']) {
    const { wx, shown, load, paths } = await startPhone(t)
    const program = load(page, {}, { uni: createUni(wx) })
    program<{ default: Component }>('src/App.js').default.onLaunch()
    t.ok(await program<Pages>('src/orders.js').loadOrders())
    program<Pages>('src/photos.js').choosePhotos(() => {})
    await until(() => paths().length === 4)
    const { data, methods } = program<{ default: Component }>('src/bind-phone.js').default
    const component = data()
    await methods.onPhone.call(component, { detail: { code: 'sandbox-phone-alice-page' } })
    t.match(component.phone, /\*{4}/)
    t.strictSame(paths(), ['/auth/login', '/api/orders', '/api/photos', '/api/photos', '/auth/phone'])
    t.strictSame(shown, [])
  }
})
