/** Steps and readings on a page of the web console. */
import type { BrowserPage } from './browser.ts'
import { APPID } from './gateway.ts'

/** Names of the pages in the navigation, and a text that only this page has. */
export const PAGES = {
  overview: ['Overview', '概览', 'memory'],
  routes: ['Routes', '路由', '/maybe'],
  upstreams: ['Upstreams', '上游', 'roundRobin'],
  apps: ['Apps', '小程序', APPID],
  users: ['Users', '用户', 'openid'],
  recent: ['Recent', '近期异常', 'no_route'],
  queues: ['Queues', '队列', 'canary_event'],
  configuration: ['Configuration', '配置', 'loginLimit'],
  certificates: ['Certificates', '证书', 'upstreams.unused.tls.ca'],
  try: ['Try it', '试一试', 'alice']
} as const

/** The part of GET /v1/status that is compared with the pages. */
export interface Numbers {
  readonly requests: { readonly requests: number }
  readonly routes: readonly {
    readonly path: string
    readonly counts: { readonly requests: number; readonly errors: number }
  }[]
  readonly upstreams: readonly {
    readonly targets: readonly { readonly target: string; readonly tries: Record<string, number> }[]
  }[]
}

/** Controls without a label or a text of their own. */
export const NAMELESS = `[...document.querySelectorAll('a, button, input, select, textarea, progress, table, nav')].filter(
  (one) => !(one.labels?.[0]?.textContent || one.getAttribute('aria-label') || one.textContent.trim())
).map((one) => one.outerHTML)`

/** True while no text of a client became an element or ran as a script. */
export const IS_TEXT = `document.querySelectorAll("main img").length === 0 && document.title !== "1"`

/** The elements that moved while the document was loaded. */
export const SHIFTS = `new Promise((resolve) => {
  const moved = (entry) => entry.sources.map(({ node, previousRect: before, currentRect: after }) =>
    [node?.className ?? node?.textContent, before.x, before.y, before.width, after.x, after.y, after.width].join(' '))
  const observer = new PerformanceObserver((list) => resolve(list.getEntries().flatMap(moved)))
  observer.observe({ type: 'layout-shift', buffered: true })
  setTimeout(() => resolve([]), 200)
})`

export async function visit(page: BrowserPage, fragment: string, title: string): Promise<void> {
  await page.read(`location.hash = '${fragment}'`)
  await page.until(`document.querySelector('h1')?.textContent === '${title}'`)
}

/** Texts of some cells of the row that starts with this text. */
export async function cells(page: BrowserPage, first: string, columns: readonly number[]): Promise<string[]> {
  const row = `[...document.querySelectorAll('tbody tr')].find((row) => row.querySelector('code').textContent === '${first}')`
  await page.until(row)
  return page.read(`${JSON.stringify(columns)}.map((column) => ${row}.cells[column].innerText)`)
}

/** @param inRow A text in the row of the element. */
export async function click(page: BrowserPage, selector: string, inRow = ''): Promise<void> {
  const element = `[...document.querySelectorAll(${JSON.stringify(selector)})].find((one) => (one.closest('tr')?.textContent ?? '').includes('${inRow}'))`
  await page.until(element)
  await page.read(`${element}.click()`)
}

export async function fill(page: BrowserPage, selector: string, text: string): Promise<void> {
  await page.until(`document.querySelector('${selector}')`)
  await page.read(`document.querySelector('${selector}').select()`)
  await page.type(text)
  await page.until(`document.querySelector('${selector}').value === '${text}'`)
}

export const background = (page: BrowserPage) => page.read('getComputedStyle(document.body).backgroundColor')

export const setVisibility = (page: BrowserPage, state: 'hidden' | 'visible') =>
  page.read(`(Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true }),
    document.dispatchEvent(new Event('visibilitychange')))`)
