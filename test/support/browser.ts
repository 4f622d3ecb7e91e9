/** Chromium without a window, driven through the DevTools protocol. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectDevTools, type DevTools } from './dev-tools.ts'
import type { Teardown } from './listen.ts'
import { PATIENCE, until } from './until.ts'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  // Chromium takes half of the processor time without these: no test looks at pixels, and all pages
  // are of one site.
  '--disable-gpu',
  '--disable-gpu-compositing',
  '--disable-software-rasterizer',
  '--in-process-gpu',
  '--disable-site-isolation-trials',
  '--renderer-process-limit=1',
  '--disable-extensions',
  '--disable-default-apps',
  '--mute-audio',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Each is a window with processes that no test looks at.
  '--no-startup-window',
  '--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup',
  '--remote-debugging-port=0'
]

/** Guards against hanging and measures no speed. */
const LONGEST_WAIT_MS = PATIENCE

export interface PageOptions {
  readonly language: 'en' | 'zh-CN'
  readonly width?: number
  readonly height?: number
  readonly scheme?: 'light' | 'dark'
}

export interface Browser {
  /** A page with cookies of its own. */
  open(options: PageOptions): Promise<BrowserPage>
}

export interface BrowserPage {
  /** Since the document was loaded: errors in the console, exceptions, violations of the policy,
   *  and requests to another host. */
  readonly problems: readonly string[]
  go(url: string): Promise<void>
  /** The value of an expression of the page, which is JSON. */
  read<T>(expression: string): Promise<T>
  /** Waits until an expression of the page is true. */
  until(expression: string): Promise<void>
  /** Text that the page shows. */
  text(): Promise<string>
  press(key: keyof typeof KEYS): Promise<void>
  type(text: string): Promise<void>
  resize(width: number, height: number): Promise<void>
  /** Only the visible part. */
  screenshot(): Promise<Buffer>
  send<T>(method: string, params?: object): Promise<T>
}

/** @param file Path of Chromium. It ends with the test. */
export async function startBrowser(t: Teardown, file: string): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-browser-'))
  const child = spawn(file, [...FLAGS, `--user-data-dir=${folder}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder }
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(`Chromium ended: ${output}`)
    return /ws:\/\/\S+/.test(output)
  })
  const tools = await connectDevTools(/ws:\/\/\S+/.exec(output)?.[0] ?? '')
  t.teardown(() => tools.close())
  return { open: (options) => openPage(tools, options) }
}

async function openPage(tools: DevTools, options: PageOptions): Promise<BrowserPage> {
  const { browserContextId } = await tools.send<{ browserContextId: string }>('Target.createBrowserContext')
  const { targetId } = await tools.send<{ targetId: string }>('Target.createTarget', {
    url: 'about:blank',
    browserContextId
  })
  const { sessionId } = await tools.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
  const send = <T>(method: string, params: object = {}) => tools.send<T>(method, params, sessionId)
  const problems: string[] = []
  const hosts = new Set<string>()
  tools.onEvent(sessionId, (method, params) => collect(method, params, problems, hosts))
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Audits']) await send(`${domain}.enable`)
  await send('Emulation.setUserAgentOverride', { userAgent: 'wxgate-test', acceptLanguage: options.language })
  await send('Emulation.setEmulatedMedia', {
    features: [{ name: 'prefers-color-scheme', value: options.scheme ?? 'light' }]
  })
  const page = createPage(send, problems, hosts)
  await page.resize(options.width ?? 1280, options.height ?? 860)
  return page
}

function createPage(send: BrowserPage['send'], problems: string[], hosts: Set<string>): BrowserPage {
  const page: BrowserPage = {
    problems,
    send,
    async go(url) {
      hosts.add(new URL(url).host)
      problems.length = 0
      // Another fragment alone does not load a document.
      await send('Page.navigate', { url: 'about:blank' })
      await send('Page.navigate', { url })
      await until(() => page.read<boolean>(`document.readyState === 'complete' && location.href !== 'about:blank'`))
    },
    async read<T>(expression: string) {
      const answer = await send<{ result: { value?: T }; exceptionDetails?: object }>('Runtime.evaluate', {
        expression,
        returnByValue: true,
        awaitPromise: true
      })
      if (answer.exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(answer.exceptionDetails)}`)
      return answer.result.value as T
    },
    async until(expression) {
      const isSo = await page.read<boolean>(waitFor(expression))
      if (!isSo) throw new Error(`still not so: ${expression}; the page shows ${await page.text()}`)
    },
    text: () => page.read('document.body.innerText'),
    async press(key) {
      const { code, text } = KEYS[key]
      const params = { key: text === ' ' ? ' ' : key, code: key, windowsVirtualKeyCode: code }
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...params, ...(text === '' ? {} : { text }) })
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...params })
    },
    type: (text) => send('Input.insertText', { text }),
    resize: (width, height) =>
      send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 }),
    async screenshot() {
      const { data } = await send<{ data: string }>('Page.captureScreenshot', { format: 'png' })
      return Buffer.from(data, 'base64')
    }
  }
  return page
}

/** Looks 50 times a second, in the page. */
function waitFor(expression: string): string {
  return `new Promise((resolve) => {
    const end = performance.now() + ${LONGEST_WAIT_MS}
    const look = () => {
      if (${expression}) resolve(true)
      else if (performance.now() > end) resolve(false)
      else setTimeout(look, 20)
    }
    look()
  })`
}

const KEYS = {
  Tab: { code: 9, text: '' },
  Enter: { code: 13, text: '\r' },
  Space: { code: 32, text: ' ' },
  Escape: { code: 27, text: '' }
} as const

interface EventParams {
  readonly type?: string
  readonly args?: readonly { readonly value?: unknown; readonly description?: string }[]
  readonly exceptionDetails?: object
  readonly entry?: { readonly level: string; readonly text: string; readonly url?: string }
  readonly issue?: { readonly code: string; readonly details: object }
  readonly request?: { readonly url: string }
}

const ISSUES = /ContentSecurityPolicy|MixedContent|BlockedByResponse/

function collect(method: string, params: object, problems: string[], hosts: ReadonlySet<string>): void {
  const { type, args, exceptionDetails, entry, issue, request } = params as EventParams
  if (method === 'Runtime.exceptionThrown') problems.push(`exception: ${JSON.stringify(exceptionDetails)}`)
  if (method === 'Runtime.consoleAPICalled' && type === 'error') problems.push(`console: ${JSON.stringify(args)}`)
  if (method === 'Log.entryAdded' && entry?.level === 'error') problems.push(`${entry.text} ${entry.url ?? ''}`)
  if (method === 'Audits.issueAdded' && issue && ISSUES.test(issue.code)) problems.push(JSON.stringify(issue))
  if (method !== 'Network.requestWillBeSent' || request === undefined) return
  const { protocol, host } = new URL(request.url)
  if (/^(http|ws)s?:$/.test(protocol) && !hosts.has(host)) problems.push(`request to ${request.url}`)
}
