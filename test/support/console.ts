/** A gateway with every part that the console shows, and the console in a browser. */
import type { Test } from 'tap'
import { type Browser, type BrowserPage, type PageOptions, startBrowser } from './browser.ts'
import { hasOpenssl } from './certificates.ts'
import { APP_SECRET, APPID, buildTestGateway, defaultConfig, SERVICE_TOKEN, type TestGateway } from './gateway.ts'
import { findProgram } from './programs.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from './push.ts'
import { until } from './until.ts'
import { startUpstream } from './upstream.ts'

/** Markup in a path and in a user agent: the console must show it as text. */
export const MARKUP = '<img/src=x/onerror=document.title=1>'

export interface ConsoleWorld {
  readonly gateway: TestGateway
  readonly browser: Browser
  readonly accessToken: string
  readonly userId: string
  readonly openId: string
  readonly sessionId: string
  /** Name in the certificate of the configuration. */
  readonly certificate: string
  /** Sends requests that are answered, refused and failed. */
  traffic(): Promise<void>
}

/** Null, with a comment, where Chromium or openssl is missing. */
export async function buildConsole(t: Test): Promise<ConsoleWorld | null> {
  const file = findProgram(t, 'chromium')
  const certificates = hasOpenssl(t)
  if (file === null || certificates === null) return null
  const certificate = 'console-test'
  const { certFile } = certificates.make(certificate, 'DNS:upstream.example')
  const upstream = await startUpstream(t, (req, res) => {
    const status = req.url === '/events' ? 400 : req.url === '/api/failing' ? 500 : 200
    res.writeHead(status, { 'content-type': 'application/json' }).end('{"ok":true}')
  })
  const base = defaultConfig(upstream.url)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      logging: { level: 'debug', access: true, format: 'json', userAgent: true },
      apps: [
        {
          appid: APPID,
          name: 'shop',
          secret: APP_SECRET,
          push: { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events' }
        }
      ],
      upstreams: {
        ...(base.upstreams as object),
        unused: { targets: [{ url: 'https://127.0.0.1:9' }], tls: { ca: { file: certFile } } }
      }
    }
  })
  const login = await gateway.login('alice')
  const openId = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const accessToken = login.access_token
  const traffic = async () => {
    for (const path of ['/api/one', '/api/two', '/api/failing', '/public', '/nowhere']) {
      await (await gateway.call(path, { token: accessToken })).arrayBuffer()
    }
    await (await gateway.call('/api/one')).arrayBuffer()
    const headers = `Host: a\r\nConnection: close\r\nUser-Agent: ${MARKUP}`
    await gateway.raw(`GET /nowhere/${MARKUP} HTTP/1.1\r\n${headers}\r\n\r\n`)
  }
  await traffic()
  const sessionId = String(upstream.seen[0]?.headers['x-session-id'])
  const event = { ToUserName: 'gh_1', FromUserName: openId, CreateTime: 1, MsgType: 'event', Event: 'canary_event' }
  const push = pushRequest(APPID, event)
  await gateway.call(push.path, { method: 'POST', body: push.body })
  await until(async () => (await gateway.store.queue.depth(`push:${APPID}`)).dead === 1)
  const browser = await startBrowser(t, file)
  return { gateway, browser, accessToken, userId: login.user.id, openId, sessionId, certificate, traffic }
}

/** A page on which the console has let in the service token of the tests. */
export async function openConsole(
  { browser, gateway }: Pick<ConsoleWorld, 'browser' | 'gateway'>,
  options: PageOptions
): Promise<BrowserPage> {
  const page = await browser.open(options)
  await page.go(`${gateway.serviceUrl}/console/`)
  await signIn(page)
  return page
}

export async function signIn(page: BrowserPage, token = SERVICE_TOKEN): Promise<void> {
  await page.until(`document.activeElement?.id === 'token'`)
  await page.type(token)
  await page.press('Enter')
  await page.until(`document.querySelector('.tile, [role=alert]')`)
}
