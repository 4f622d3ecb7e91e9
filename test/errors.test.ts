import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { ApiError, catalogue, type ErrorCode, toProblem } from '../src/errors.ts'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const codes = Object.keys(catalogue) as ErrorCode[]

test('docs/errors.md and the catalogue list the same errors, with the same status and action, in the same order', async (t) => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \| (\w+) \| (.+) \| (.+) \|$/gm)]
  t.same(
    rows.map(([, code, status, action]) => `${code} ${status} ${action}`),
    codes.map((code) => `${code} ${catalogue[code].status} ${catalogue[code].action}`)
  )
  for (const [row, , , , when, what] of rows) t.ok((when?.length ?? 0) > 10 && (what?.length ?? 0) > 3, row)
  t.equal(page.split('\n').filter((line) => /^\| `\w+` \| \d/.test(line)).length, codes.length, 'no row is malformed')
})

test('the catalogue is sorted by status', async (t) => {
  const statuses = codes.map((code) => catalogue[code].status)
  t.same(statuses, [...statuses].sort())
})

test('the page explains every action, and no other', async (t) => {
  const explained = [...page.matchAll(/^\| `(\w+)` \| [^|]+ \|$/gm)].map(([, action]) => action)
  t.same(explained.sort(), [...new Set(codes.map((code) => catalogue[code].action))].sort())
})

test('every error has the same shape, and the headers of its status and action', async (t) => {
  for (const code of codes) {
    const error = new ApiError(code, 'what happened')
    const { status, action, title } = catalogue[code]
    t.same(toProblem(error, 'r1'), {
      type: `urn:wxgate:error:${code}`,
      title,
      status,
      detail: 'what happened',
      code,
      action,
      request_id: 'r1'
    })
    t.equal('retry-after' in error.headers, action === 'retry', `${code} Retry-After`)
    t.equal('www-authenticate' in error.headers, status === 401, `${code} WWW-Authenticate`)
  }
})

test('the example on the page is a real one', async (t) => {
  const [, example = ''] = /```json\n([\s\S]+?)```/.exec(page) ?? []
  const { code, detail, ...problem } = JSON.parse(example)
  t.same(Object.keys(JSON.parse(example)), Object.keys(toProblem(new ApiError(code, detail), '')))
  t.match(toProblem(new ApiError(code, detail), problem.request_id), problem)
})
