/** The site made from docs/: its parts, and the built site in a browser. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { drawSequence } from '../docs/.vitepress/sequence.ts'
import { stageSite } from '../docs/.vitepress/stage.ts'
import { tokenize } from '../docs/.vitepress/tokenize.ts'
import { type BrowserPage, startBrowser } from './support/browser.ts'
import { type BuiltSite, buildSite } from './support/docs-site.ts'
import { blocksOf, ROOT, readDocument } from './support/markdown.ts'
import { findProgram } from './support/programs.ts'

test('the search splits English into words and Chinese into pairs of characters', async (t) => {
  t.strictSame(tokenize('AppSecret, session_key'), ['AppSecret', 'session_key'])
  t.strictSame(tokenize('会话密钥'), ['会话', '话密', '密钥'])
  t.strictSame(tokenize('用wx.login登录。'), ['用', 'wx', 'login', '登录'])
})

test('every sequence diagram of the documents can be drawn, with all its texts', async (t) => {
  for (const page of ['docs/sequences.md', 'docs/sequences.zh-CN.md']) {
    const diagrams = blocksOf(readDocument(page), 'mermaid')
    t.ok(diagrams.length >= 3)
    for (const { text } of diagrams) {
      const lines = text.trim().split('\n').length - 1
      const drawn = drawSequence(text, page)
      t.equal([...drawn.matchAll(/<text /g)].length, lines, 'a text for each participant and each message')
    }
  }
  t.throws(() => drawSequence('sequenceDiagram\n  loop forever', ''), /no line such as: loop forever/)
  t.throws(() => drawSequence('sequenceDiagram\n  A->>B: hello', ''), /no participant A/)
  t.match(drawSequence('participant A as <b>\n A->>A: "x" & y', ''), />&lt;b&gt;<[\s\S]*>&quot;x&quot; &amp; y</)
})

test('every page has its place in the sidebars, and is laid out in both languages', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-docs-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  // Throws for a page that the sidebar does not name, and for a link without a target.
  const { sidebars } = stageSite(ROOT, folder)
  for (const [language, start] of [
    ['en', '/'],
    ['zh', '/zh/']
  ] as const) {
    const links = sidebars[language].flatMap(({ items }) => items.map(({ link }) => link))
    for (const link of links) {
      t.ok(link.startsWith(start), link)
      t.ok(existsSync(join(folder, `${link}.md`)), link)
    }
  }
  const chinese = readFileSync(join(folder, 'zh/faq.md'), 'utf8')
  t.match(chinese, '](/zh/miniprogram.md)')
  t.notMatch(chinese, /zh-CN|English/)
})

test('the lock file of the site names no address', async (t) => {
  t.notMatch(readDocument('docs/package-lock.json'), /"resolved"/)
})

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
