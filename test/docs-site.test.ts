/** The parts of the site made from docs/. `npm run test:site` tests the built site. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { drawSequence } from '../docs/.vitepress/sequence.ts'
import { stageSite } from '../docs/.vitepress/stage.ts'
import { tokenize } from '../docs/.vitepress/tokenize.ts'
import { blocksOf, ROOT, readDocument } from './support/markdown.ts'

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
