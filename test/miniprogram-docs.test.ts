/** docs/miniprogram.md: its code runs, its tables are complete, and both languages agree. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { startEchoSocket } from './support/echo-socket.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { startMiniProgram } from './support/mini-program.ts'
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
