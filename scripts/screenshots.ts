/** Makes docs/images: pages of the web console in both languages, on a gateway with the sandbox and
 *  traffic of a minute. Needs Chromium, and fonts for Chinese. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type BrowserPage, startBrowser } from '../test/support/browser.ts'
import { signIn } from '../test/support/console.ts'
import { APPID, SERVICE_TOKEN } from '../test/support/gateway.ts'
import { type GatewayProcess, startGatewayProcess } from '../test/support/gateway-process.ts'
import { startUpstream } from '../test/support/upstream.ts'

const IMAGES = join(import.meta.dirname, '../docs/images')
const LANGUAGES = ['en', 'zh-CN'] as const
const SIZE = { width: 1200, height: 800 }
const TRAFFIC_MS = 90_000
/** More than log in within `repeatWindow`. */
const PEOPLE = 400

const cleanups: (() => unknown)[] = []
const t = { teardown: (fn: () => unknown) => void cleanups.unshift(fn) }

/** Of the last request. */
let sessionId = ''

/** @param ms Typical time of an answer. @param failures Share of answers with status 503. */
async function startTarget(ms: number, failures: number): Promise<string> {
  const target = await startUpstream(t, (req, res) => {
    const status = Math.random() < failures ? 503 : 200
    sessionId = String(req.headers['x-session-id'] ?? sessionId)
    setTimeout(() => res.writeHead(status).end('{}'), ms * (0.5 + Math.random() ** 5 * 5))
  })
  return target.url
}

async function start(): Promise<GatewayProcess> {
  const [first, second, chat] = [await startTarget(24, 0.01), await startTarget(28, 0.01), await startTarget(14, 0)]
  const broken = await startTarget(40, 1)
  const outliers = { failures: 5, ejectFor: '5m' }
  return startGatewayProcess(t, first, {
    config: {
      apps: [{ appid: APPID, name: 'shop', secret: 'sandbox' }],
      upstreams: {
        orders: {
          targets: [first, second, broken].map((url) => ({ url })),
          balance: 'leastRequests',
          outliers,
          circuitBreaker: {}
        },
        chat: { targets: [{ url: chat }], balance: 'hash', circuitBreaker: {} }
      },
      routes: [
        { path: '/api/orders', upstream: 'orders', rateLimit: { max: 6000, window: '1m', by: 'user' } },
        { path: '/api/products', methods: ['GET'], upstream: 'orders', auth: 'public' },
        { path: '/api/chat', upstream: 'chat', stripPrefix: '/api' }
      ]
    }
  })
}

async function logIn(url: string, name: string) {
  const response = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code: `sandbox-${name}` })
  })
  return (await response.json()) as { access_token: string }
}

/** At most some tens of requests a second, in waves. */
async function sendTraffic({ url }: GatewayProcess, token: string, end: AbortSignal): Promise<void> {
  const paths = ['/api/orders', '/api/orders/17', '/api/products', '/api/chat/rooms', '/api/chat/rooms', '/api/coupons']
  for (let turn = 0; !end.aborted; turn++) {
    const path = paths[turn % paths.length] ?? '/'
    const headers = turn % 97 === 0 ? {} : { authorization: `Bearer ${token}` }
    void fetch(url + path, { headers }).then((response) => response.arrayBuffer())
    if (turn % 7 === 0) void logIn(url, `person${turn % PEOPLE}`)
    await delay(12 + 6 * Math.sin(turn / 260) + Math.random() * 4)
  }
}

async function save(page: BrowserPage, name: string): Promise<void> {
  writeFileSync(join(IMAGES, `${name}.png`), await page.screenshot())
}

async function main(): Promise<void> {
  const chromium = spawnSync('which', ['chromium'], { encoding: 'utf8' }).stdout.trim()
  if (chromium === '') throw new Error('chromium is not installed')
  const gateway = await start()
  const browser = await startBrowser(t, chromium)
  const { access_token } = await logIn(gateway.url, 'alice')
  await logIn(gateway.url, 'alice')
  const pages = await Promise.all(
    LANGUAGES.map(async (language) => {
      const page = await browser.open({ language, ...SIZE })
      await page.go(`${gateway.serviceUrl}/console/`)
      await signIn(page, SERVICE_TOKEN)
      return { language, page }
    })
  )
  const end = new AbortController()
  const traffic = sendTraffic(gateway, access_token, end.signal)
  await delay(TRAFFIC_MS)
  mkdirSync(IMAGES, { recursive: true })
  for (const { language, page } of pages) {
    await save(page, `overview.${language}`)
    await page.read(`location.hash = '#/upstreams'`)
    await page.until(`document.querySelectorAll('tbody tr').length === 4`)
    await save(page, `upstreams.${language}`)
    await page.read(`location.hash = '#/users?id=${sessionId}'`)
    await page.until(`document.querySelectorAll('td .danger').length > 0`)
    await save(page, `users.${language}`)
  }
  end.abort()
  await traffic
}

try {
  await main()
} finally {
  for (const cleanup of cleanups) await cleanup()
}
