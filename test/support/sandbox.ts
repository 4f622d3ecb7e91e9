/** The sandbox as a mini-program team uses it: over HTTP only. */

import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/server.ts'
import { createTestClock, type TestClock } from './clock.ts'
import type { Teardown } from './listen.ts'

export interface Reply {
  readonly status: number
  readonly type: string | null
  readonly text: string
  readonly json: Record<string, unknown>
}

export interface SandboxSetup {
  readonly sandbox: Sandbox
  readonly url: string
  readonly clock: TestClock
  get(path: string, query?: Record<string, string>): Promise<Reply>
  post(path: string, body?: unknown, query?: Record<string, string>): Promise<Reply>
  send(method: string, path: string, query?: Record<string, string>, body?: unknown): Promise<Reply>
  login(code: string, more?: Record<string, string>): Promise<Reply>
  /** A stable token of the test's mini-program. */
  token(appid?: string): Promise<string>
}

export const APP = 'wx1234567890abcdef'

export async function buildSandbox(t: Teardown, options: Partial<SandboxOptions> = {}): Promise<SandboxSetup> {
  const clock = createTestClock(Date.UTC(2026, 10, 23))
  const sandbox = createSandbox({ clock, ...options })
  const { url } = await sandbox.listen(0)
  t.teardown(() => sandbox.close())

  async function send(
    method: string,
    path: string,
    query: Record<string, string> = {},
    body?: unknown
  ): Promise<Reply> {
    const response = await fetch(`${url}${path}?${new URLSearchParams(query)}`, {
      method,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, type: response.headers.get('content-type'), text, json: parse(text) }
  }

  const post: SandboxSetup['post'] = (path, body, query) => send('POST', path, query, body)
  return {
    sandbox,
    url,
    clock,
    send,
    post,
    get: (path, query) => send('GET', path, query),
    login(code, more = {}) {
      const query = { appid: APP, secret: 'sandbox', js_code: code, grant_type: 'authorization_code', ...more }
      return send('GET', '/sns/jscode2session', query)
    },
    async token(appid = APP) {
      const { json } = await post('/cgi-bin/stable_token', {
        grant_type: 'client_credential',
        appid,
        secret: 'sandbox'
      })
      return String(json.access_token)
    }
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
