/** Does what the README asks a newcomer to do, from `git clone` to the console with a live request,
 *  and prints how long each step took. Fails when a step does not work, never for its time. Needs
 *  Chromium, Git, npm and curl. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startBrowser } from '../test/support/browser.ts'

const ROOT = join(import.meta.dirname, '..')
const TARGET_SECONDS = 60
const START_TIMEOUT_MS = 120_000

const cleanups: (() => unknown)[] = []
const t = { teardown: (fn: () => unknown) => void cleanups.unshift(fn) }

/** Time of all steps, without the start of the browser. */
let total = 0

async function step<Result>(name: string, run: () => Result | Promise<Result>): Promise<Result> {
  const start = performance.now()
  const result = await run()
  const seconds = (performance.now() - start) / 1_000
  total += seconds
  process.stdout.write(`${seconds.toFixed(1).padStart(7)} s  ${name}\n`)
  return result
}

async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return String(typeof address === 'object' && address ? address.port : 0)
}

/** Runs `npm start`. Resolves with the lines for the newcomer, when they are all there. */
async function start(folder: string): Promise<{ link: string; curl: string }> {
  const ports = { WXGATE_PORT: await freePort(), WXGATE_SERVICE_PORT: await freePort(), ORDERS_PORT: await freePort() }
  const child = spawn('npm', ['start'], {
    cwd: folder,
    env: { ...process.env, ...ports },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(() => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM')
    return gone
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!output.includes('wxgate is ready')) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`npm start is not ready:\n${output}`)
    await delay(20)
  }
  const link = /http:\S+\/console\/\S+/.exec(output)?.[0]
  const curl = [...output.matchAll(/^ {2}(curl .*)$/gm)].at(-1)?.[1]
  if (!link || !curl) throw new Error(`npm start does not print a link and a curl line:\n${output}`)
  return { link, curl }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-first-minute-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const chromium = execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim()
  const page = await (await startBrowser(t, chromium)).open({ language: 'en' })
  const clone = join(folder, 'wxgate')
  await step('git clone', () => execFileSync('git', ['clone', '--quiet', ROOT, clone]))
  await step('npm ci', () => execFileSync('npm', ['ci', '--no-fund', '--no-audit'], { cwd: clone, stdio: 'ignore' }))
  const { link, curl } = await step('npm start', () => start(clone))
  await step('the console, by its one-time link', async () => {
    await page.go(link)
    await page.until(`document.querySelector('.tile')`)
  })
  await step('a request, shown in the console', async () => {
    execFileSync('bash', ['-c', curl])
    await page.until(`/\\b[1-9]\\d* in total/.test(document.body.innerText)`)
  })
  if (page.problems.length > 0) throw new Error(page.problems.join('\n'))
  const all = total.toFixed(1).padStart(7)
  process.stdout.write(`${all} s  in all; the aim is ${TARGET_SECONDS} s with packages cached\n`)
}

try {
  await main()
} finally {
  for (const cleanup of cleanups) await cleanup()
}
