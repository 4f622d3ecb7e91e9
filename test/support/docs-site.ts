/** The site built from docs/, served on a free port. */
import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { startServer } from './listen.ts'
import { ROOT } from './markdown.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json'
}

export interface BuiltSite {
  readonly url: string
  /** The HTML of each page, by its path. */
  readonly pages: ReadonlyMap<string, string>
  has(path: string): boolean
}

/** Null, with a comment, when the packages of docs/ are not installed; in CI that is a failure. */
export async function buildSite(t: Test): Promise<BuiltSite | null> {
  const docs = join(ROOT, 'docs')
  const vitepress = join(docs, 'node_modules/vitepress/bin/vitepress.js')
  if (!existsSync(vitepress)) {
    const missing = 'the packages of docs/ are not installed: npm ci --prefix docs'
    if (process.env.CI) t.fail(missing)
    else t.comment(`NOT TESTED: ${missing}`)
    return null
  }
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-docs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env
  // Rejects with the output of a build that fails.
  await promisify(execFile)(process.execPath, [vitepress, 'build', docs, '--outDir', folder], { env })
  const pages = globSync('**/*.html', { cwd: folder }).map(
    (path) => [`/${path}`, readFileSync(join(folder, path), 'utf8')] as const
  )
  const url = await startServer(t, (req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost')
    const file = join(folder, normalize(pathname.endsWith('/') ? `${pathname}index.html` : pathname))
    if (!existsSync(file)) res.writeHead(404).end()
    else
      res.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  })
  return { url, pages: new Map(pages), has: (path) => existsSync(join(folder, path)) }
}
