/** A phone with the mini-program client on it, a network it can lose, the gateway, and a
 *  business service. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Test } from 'tap'
import type { Client, ClientOptions } from '../../miniprogram/miniprogram_dist/index.d.ts'
import { createTestClock, type TestClock } from './clock.ts'
import { buildTestGateway, type TestGateway } from './gateway.ts'
import { type ClientModule, type MiniProgram, startClient } from './mini-program.ts'
import { type Seen, startUpstream, type TestUpstream } from './upstream.ts'
import { startWire, type Wire, type WireFault } from './wire.ts'
import { createWx, type TestWx, type TestWxOptions } from './wx.ts'

export interface PhoneOptions extends TestWxOptions {
  readonly config?: Record<string, unknown>
  readonly handler?: (req: IncomingMessage, res: ServerResponse, seen: Seen) => void
}

export interface Phone {
  readonly upstream: TestUpstream
  readonly gateway: TestGateway
  /** The gateway's clock; the phone has its own. */
  readonly clock: TestClock
  readonly wire: Wire
  readonly wx: TestWx
  readonly program: MiniProgram & ClientModule
  readonly client: Client
  /** The mini-program ends and starts again; its storage stays. */
  restart(options?: Partial<ClientOptions>): Client
}

export const HOUR = 3_600_000

export async function startPhone(t: Test, options: PhoneOptions = {}): Promise<Phone> {
  const clock = createTestClock()
  const upstream = await startUpstream(t, options.handler)
  const gateway = await buildTestGateway(t, upstream.url, {
    clock,
    ...(options.config ? { config: options.config } : {})
  })
  const wire = await startWire(t, gateway.url)
  const wx = createWx(t, options)
  const start = (more: Partial<ClientOptions> = {}) => {
    const program = startClient(wx)
    return { program, client: program.createClient({ baseUrl: wire.url, ...more }) }
  }
  const { program, client } = start()
  // In every test: no token in an address, and no output on the console.
  t.teardown(() => {
    for (const { url } of wx.sent) if (/ey[A-Za-z0-9_-]{10}|token=/.test(url)) t.fail(`a token in ${url}`)
    for (const line of program.logged) t.fail(`logged: ${JSON.stringify(line)}`)
  })
  return { upstream, gateway, clock, wire, wx, program, client, restart: (more) => start(more).client }
}

/** The rejection of a promise, or null. */
export async function rejection(promise: Promise<unknown>): Promise<Record<string, unknown> | null> {
  try {
    await promise
    return null
  } catch (error) {
    const { name, code, status, action, detail, requestId, retryAfter, errMsg, errno } = error as Record<
      string,
      unknown
    >
    return { name, code, status, action, detail, requestId, retryAfter, errMsg, errno }
  }
}

export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** An error as the gateway would send it. */
export function problem(status: number, code: string, action: string, headers: Record<string, string> = {}): WireFault {
  const body = JSON.stringify({
    type: `urn:wxgate:error:${code}`,
    title: code,
    status,
    detail: code,
    code,
    action,
    request_id: 'test'
  })
  return { status, headers: { ...headers, 'content-type': 'application/problem+json' }, body }
}
