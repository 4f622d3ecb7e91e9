/** The site built from docs/, in a browser: `npm run test:site`. The build takes half a minute, so
 *  that `npm test` leaves it out. */
import { test } from 'tap'
import { type BrowserPage, startBrowser } from '../support/browser.ts'
import { type BuiltSite, buildSite } from '../support/docs-site.ts'
import { findProgram } from '../support/programs.ts'

test('the built site has every page in both languages and shows it without another host', async (t) => {
  const chromium = findProgram(t, 'chromium')
  const site = await buildSite(t)
  if (site === null || chromium === null) return
  t.same(deadLinks(site), [])
  for (const path of site.pages.keys()) {
    if (!/^\/(zh\/|404)/.test(path)) t.ok(site.pages.has(`/zh${path}`), `${path} has a Chinese page`)
  }
  const browser = await startBrowser(t, chromium)
  const page = await browser.open({ language: 'en' })
  await page.go(`${site.url}/`)
  await page.until(`document.querySelector('.VPHero')`)
  await click(page, '.VPSwitchAppearance')
  await page.until(`document.documentElement.classList.contains('dark')`)
  t.match(site.pages.get(await search(page, 'AppSecret')), /AppSecret/)
  t.same(page.problems, [])

  await page.go(`${site.url}/sequences.html`)
  await page.until(`document.querySelector('.sequence svg').getBoundingClientRect().width > 300`)
  await click(page, 'a[href^="/zh/sequences.html"]')
  await page.until(
    `document.documentElement.lang === 'zh-CN' && document.querySelector('h1').innerText.includes('登录')`
  )
  const found = await search(page, '加密通道')
  t.match(found, /^\/zh\//)
  t.match(site.pages.get(found), /加密通道/)
  t.same(page.problems, [])
})

/** Links of all pages to a page, a file or a heading that the site does not have. */
function deadLinks({ pages, has }: BuiltSite): string[] {
  return [...pages].flatMap(([path, html]) =>
    [...html.matchAll(/ (?:href|src)="([^"]+)"/g)].flatMap(([, link = '']) => {
      if (/^(?:https?|mailto|data):/.test(link)) return []
      const { pathname, hash } = new URL(link, `http://site${path}`)
      const target = decodeURIComponent(pathname.endsWith('/') ? `${pathname}index.html` : pathname)
      const isThere =
        hash === '' ? has(target) : pages.get(target)?.includes(` id="${decodeURIComponent(hash.slice(1))}"`)
      return isThere ? [] : [`${path}: ${link}`]
    })
  )
}

function click(page: BrowserPage, selector: string): Promise<void> {
  return page.read(`document.querySelector(${JSON.stringify(selector)}).click()`)
}

/** Path of the first result. */
async function search(page: BrowserPage, words: string): Promise<string> {
  if (!(await page.read<boolean>(`!!document.querySelector('.VPLocalSearchBox')`))) {
    await click(page, '.VPNavBarSearch button')
    await page.until(`document.querySelector('.VPLocalSearchBox .search-input')`)
  }
  await page.read(`{
    const input = document.querySelector('.search-input')
    input.value = ${JSON.stringify(words)}
    input.dispatchEvent(new Event('input', { bubbles: true }))
  }`)
  await page.until(`document.querySelector('.VPLocalSearchBox .result')`)
  return page.read(`new URL(document.querySelector('.VPLocalSearchBox .result').href).pathname`)
}
