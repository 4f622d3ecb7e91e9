/** The web console in Chromium, on a running gateway. */
import { type Test, t as tap, test } from 'tap'
import type { BrowserPage } from '../support/browser.ts'
import { buildConsole, type ConsoleWorld, MARKUP, openConsole, signIn } from '../support/console.ts'
import {
  background,
  cells,
  click,
  fill,
  IS_TEXT,
  NAMELESS,
  type Numbers,
  PAGES,
  SHIFTS,
  setVisibility,
  visit
} from '../support/console-page.ts'
import { APP_SECRET, APPID, SECRET, SERVICE_TOKEN } from '../support/gateway.ts'
import { PUSH_KEY, PUSH_TOKEN } from '../support/push.ts'

interface Shared extends ConsoleWorld {
  readonly english: BrowserPage
  /** Loads the English page again. */
  reload(): Promise<BrowserPage>
  to(page: keyof typeof PAGES): Promise<void>
  /** True when the audit log has a line of the call, with the name of the service token. */
  hasAudit(endpoint: string): boolean
}

/** One gateway and one browser for all tests, from the first one on. */
let shared: Promise<Shared | null> | null = null

async function build(): Promise<Shared | null> {
  const world = await buildConsole(tap)
  if (world === null) return null
  const { gateway } = world
  const english = await openConsole(world, { language: 'en' })
  return {
    ...world,
    english,
    async reload() {
      await english.go(`${gateway.serviceUrl}/console/`)
      await english.until(`document.querySelector('.tile')`)
      return english
    },
    to: (page) => visit(english, `#/${page}`, PAGES[page][0]),
    hasAudit: (endpoint) =>
      gateway.lines.some((line) => line.includes(`"endpoint":"${endpoint}"`) && line.includes('"caller":"test"'))
  }
}

function consoleTest(title: string, run: (t: Test, shared: Shared) => Promise<void>): void {
  test(title, async (t) => {
    shared ??= build()
    const there = await shared
    if (there !== null) await run(t, there)
  })
}

consoleTest(
  'a wrong service token is refused with the reason, a right one is let in, and a chosen language stays',
  async (t, { gateway, browser }) => {
    const page = await browser.open({ language: 'en' })
    await page.go(`${gateway.serviceUrl}/console/`)
    await signIn(page, 'no-such-token-0123456789')
    t.match(await page.text(), 'It needs the scope admin.')
    t.equal(await page.read('document.querySelectorAll("nav").length'), 0)
    await page.read(`document.querySelector('#token').select()`)
    await page.type(SERVICE_TOKEN)
    await page.press('Enter')
    await page.until(`document.querySelector('.tile')`)
    await click(page, '[lang=zh-CN]')
    await page.until(`document.querySelector('h1').textContent === '概览'`)
    await page.go(`${gateway.serviceUrl}/console/`)
    await page.until(`document.querySelector('h1')?.textContent === '概览'`)
    t.equal(await page.read('document.documentElement.lang'), 'zh-CN')
  }
)

consoleTest('every page shows its data in English and in Chinese, on a screen and on a phone', async (t, shared) => {
  const { english } = shared
  const chinese = await openConsole(shared, { language: 'zh-CN', scheme: 'dark' })
  for (const [page, column] of [
    [english, 0],
    [chinese, 1]
  ] as const) {
    for (const [name, names] of Object.entries(PAGES)) {
      await visit(page, `#/${name}`, names[column])
      await page.until(`document.querySelector('main').textContent.includes(${JSON.stringify(names[2])})`)
      t.same(await page.read(NAMELESS), [], `${name}: every control has a name`)
      for (const width of [1280, 360]) {
        await page.resize(width, 800)
        t.ok(await page.read('document.documentElement.scrollWidth <= innerWidth'), `${name} at ${width}`)
      }
      await page.resize(1280, 860)
    }
    t.same(page.problems, [])
  }
  t.equal(await chinese.read('document.documentElement.lang'), 'zh-CN')
  t.not(await background(chinese), await background(english), 'the colours follow prefers-color-scheme')
})

consoleTest('the numbers are those of the gateway', async (t, { gateway, traffic, english, to }) => {
  await traffic()
  const status = await (await gateway.service('/v1/status', { token: SERVICE_TOKEN })).json()
  const { requests, routes, upstreams } = status as Numbers
  await to('overview')
  await english.until(`document.querySelector('.tiles').textContent.includes('${requests.requests} in total')`)
  await english.until(`document.querySelectorAll('.u-wrap canvas').length === 4`)
  await to('routes')
  for (const { path, counts } of routes) {
    t.same(await cells(english, path, [6, 7]), [String(counts.requests), String(counts.errors)], path)
  }
  await to('upstreams')
  const [target] = upstreams[0]?.targets ?? []
  const tries = Object.values(target?.tries ?? {}).reduce((total, count) => total + count, 0)
  t.equal((await cells(english, target?.target ?? '', [4]))[0], String(tries))
})

consoleTest(
  'a text of a client is text, never markup, and its identity is masked until an audited click',
  async (t, { gateway, userId, english, to, hasAudit }) => {
    await to('recent')
    await english.until(`document.body.textContent.includes('onerror')`)
    t.match(await english.text(), MARKUP)
    const agent = `"user_agent":"${MARKUP}"`
    t.ok(
      gateway.lines.some((line) => line.includes(agent)),
      'the user agent was markup too'
    )
    t.ok(await english.read(IS_TEXT))
    t.notMatch(await english.text(), userId)
    await click(english, 'tr:has(code) .button.small', 'failing')
    await english.until(`document.body.textContent.includes('${userId}')`)
    t.ok(hasAudit('POST /console/v1/failures/:id/identity'))
  }
)

consoleTest('the explain box gives the decision, and shows headers of a client as text', async (t, { english, to }) => {
  // Another tab signs in: the cookie is a new one, and the page learns its CSRF token.
  await english.read(`fetch('session', { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: '${SERVICE_TOKEN}' }) }).then(({ status }) => status)`)
  await to('routes')
  await fill(english, 'form input', '/api/orders/7')
  await click(english, 'form .primary')
  await english.until(`document.querySelector('.result')`)
  t.match(await english.text(), '401 token_missing')

  // The one place of the console that shows a user agent.
  await fill(english, 'form input', '/public')
  await fill(english, 'form textarea', `User-Agent: ${MARKUP}`)
  await click(english, 'form .primary')
  await english.until(`document.querySelector('.result pre')?.textContent.includes('onerror')`)
  t.match((await english.text()).toLowerCase(), `user-agent: ${MARKUP}`)
  t.ok(await english.read(IS_TEXT))
})

consoleTest(
  'a user is found by openid, user id and session id; ending the session ends its token',
  async (t, { gateway, accessToken, userId, openId, sessionId, english, to }) => {
    for (const id of [openId, userId, sessionId]) {
      await to('overview')
      await to('users')
      await fill(english, 'form input', id)
      await click(english, 'form .primary')
      await english.until(`document.querySelector('main').textContent.includes('${openId}')`)
      await english.until(`document.querySelectorAll('td .danger').length === 1`)
      t.match(await english.text(), userId)
    }
    t.equal((await gateway.call('/api/one', { token: accessToken })).status, 200)
    await click(english, 'td .danger')
    await click(english, 'dialog .danger')
    await english.until(`document.body.textContent.includes('This user has no live session.')`)
    t.equal((await gateway.call('/api/one', { token: accessToken })).status, 401)
  }
)

consoleTest('the quotas of an app are read from WeChat at a click', async (t, { gateway, english, to, hasAudit }) => {
  const path = '/wxa/msg_sec_check'
  await gateway.service(`/wxapi/${APPID}${path}`, { token: SERVICE_TOKEN, method: 'POST', body: '{}' })
  await to('overview')
  await to('apps')
  await english.until(`document.querySelector('main').textContent.includes('${path}')`)
  t.same(await cells(english, path, [1, 2]), ['1', '–'])
  await click(english, '.panel-head .button.small')
  await english.until(`document.querySelector('td progress')`)
  t.match((await cells(english, path, [2]))[0], /^1 of /)
  t.ok(hasAudit('POST /console/v1/apps/:appid/quotas'))
})

consoleTest('a dead event is delivered again', async (t, { english, to, hasAudit }) => {
  await to('queues')
  await click(english, 'td .button.small')
  await english.until(`document.body.textContent.includes('The event will be delivered again.')`)
  t.ok(hasAudit('POST /console/v1/push/dead/:id/retry'))
})

consoleTest(
  'the configuration in force has no secret, and certificates have their name',
  async (t, { certificate, english, to }) => {
    await to('configuration')
    await english.until(`document.querySelector('pre')`)
    const text = await english.text()
    t.match(text, 'loginLimit')
    for (const secret of [SECRET, APP_SECRET, SERVICE_TOKEN, PUSH_TOKEN, PUSH_KEY]) t.notMatch(text, secret)
    await to('certificates')
    await english.until(`document.body.textContent.includes('CN=${certificate}')`)
  }
)

consoleTest(
  'Try it logs in at the sandbox and shows the request that the backend received',
  async (t, { openId, english, to }) => {
    await to('try')
    await fill(english, 'form input', '/api/one')
    await click(english, 'form .primary')
    await english.until(`document.body.textContent.includes('Request that the backend received')`)
    t.match(await english.text(), new RegExp(`X-OpenId: ${openId}`, 'i'))
  }
)

consoleTest(
  'the keyboard reaches the content by a skip link, and every page, with a visible focus',
  async (t, { reload }) => {
    const page = await reload()
    await page.press('Tab')
    t.equal(await page.read('document.activeElement.className'), 'skip')
    await page.press('Tab')
    t.equal(await page.read('document.activeElement.closest("nav") !== null'), true)
    t.not(await page.read('getComputedStyle(document.activeElement).outlineStyle'), 'none')
    await page.press('Tab')
    await page.press('Enter')
    await page.until(`document.activeElement.tagName === 'H1'`)
    t.equal(await page.read('document.activeElement.textContent'), 'Routes')
    t.same(page.problems, [])
  }
)

consoleTest(
  'on a phone, by keyboard alone: the menu, a page, a revealed identity and the quotas keep the focus in place',
  async (t, shared) => {
    const page = await openConsole(shared, { language: 'zh-CN', width: 375 })
    const focused = (what: string) => page.read(`document.activeElement.${what}`)
    const tabTo = async (selector: string) => {
      for (let steps = 0; steps < 40 && !(await page.read(`document.activeElement.matches('${selector}')`)); steps++)
        await page.press('Tab')
    }
    await page.until(`document.querySelector('.overview .panel-head')`)
    const tops = `[...document.querySelectorAll('.overview .panel h2')].map((one) => [one.getBoundingClientRect().top, one.textContent])`
    t.equal(await page.read(`${tops}.sort((a, b) => a[0] - b[0])[0][1]`), '需要关注', 'comes before the charts')
    await tabTo('.menu-button')
    await page.press('Enter')
    await page.until(`document.activeElement.matches('.menu-button[aria-expanded=true]')`)
    await page.press('Tab')
    await page.press('Escape')
    // Escape closes the menu.
    await page.until(`document.activeElement.matches('.menu-button[aria-expanded=false]')`)
    await page.press('Enter')
    await page.until(`document.activeElement.matches('.menu-button[aria-expanded=true]')`)
    await tabTo('a[href="#/recent"]')
    await page.press('Enter')
    await page.until(`document.activeElement.textContent === '近期异常'`)
    await page.until(`document.querySelector('td .button.small')`)
    await tabTo('td .button.small')
    await page.press('Space')
    await page.until(`document.activeElement.matches('td .row')`)
    await visit(page, '#/apps', '小程序')
    await tabTo('.panel-head .button.small')
    await page.press('Space')
    await page.until(`document.querySelector('.message').textContent === '已从微信查到额度。'`)
    t.equal(await focused('textContent'), '查询额度')
    t.same(page.problems, [])
  }
)

consoleTest('a hidden page follows no stream, a visible one does', async (t, { reload }) => {
  const page = await reload()
  await page.until(`document.querySelector('.head-facts').textContent.includes('Live')`)
  await setVisibility(page, 'hidden')
  await page.until(`document.querySelector('.head-facts').textContent.includes('Paused')`)
  await setVisibility(page, 'visible')
  await page.until(`document.querySelector('.head-facts').textContent.includes('Live')`)
  t.same(page.problems, [])
})

consoleTest('nothing moves while a page loads, and nothing is an error', async (t, { gateway, browser, english }) => {
  const paints: number[] = []
  for (const [name, [title, , text]] of Object.entries(PAGES)) {
    await english.go(`${gateway.serviceUrl}/console/#/${name}`)
    await english.until(`document.querySelector('h1')?.textContent === '${title}'`)
    await english.until(`document.querySelector('main').textContent.includes(${JSON.stringify(text)})`)
    const shifts = await english.read<readonly string[]>(SHIFTS)
    t.same(shifts, [], name)
    t.same(english.problems, [], name)
    paints.push(await english.read('performance.getEntriesByName("first-contentful-paint")[0].startTime'))
  }
  t.comment(`first paint after ${paints.map(Math.round).join(', ')} ms`)
  const first = await browser.open({ language: 'en' })
  await first.go(`${gateway.serviceUrl}/console/`)
  await first.until(`document.activeElement?.id === 'token'`)
  t.same(await first.read(SHIFTS), [], 'the page for signing in')
  t.same(first.problems, [])
})

consoleTest('a one-time link signs in once, and leaves the address', async (t, { gateway, browser }) => {
  const page = await browser.open({ language: 'en' })
  const link = `${gateway.serviceUrl}/console/#link=${gateway.gateway.parts.consoleLinks.create()}`
  await page.go(link)
  await page.until(`document.querySelector('.tile')`)
  t.equal(await page.read('location.hash'), '')
  t.same(page.problems, [])
  await page.send('Network.clearBrowserCookies')
  await page.go(link)
  await page.until(`document.querySelector('#token')`)
  t.match(await page.text(), 'This link was used before')
})

consoleTest('the end of the session leads to the page for signing in', async (t, { reload }) => {
  const page = await reload()
  await page.send('Network.clearBrowserCookies')
  await page.read(`location.hash = '#/recent'`)
  await page.until(`document.querySelector('#token')`)
  t.match(await page.text(), 'Your session has ended.')
})
