/** A gateway whose backends call WeChat through it, and servers in place of WeChat. */
import { createHash } from 'node:crypto'
import type { RequestListener } from 'node:http'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  SERVICE_TOKEN,
  type TestGateway,
  type TestGatewayOptions
} from './gateway.ts'
import { startServer, type Teardown } from './listen.ts'
import { startUpstream } from './upstream.ts'

const APPS = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
export const TOKEN_CALL = '/cgi-bin/stable_token'

export async function build(t: Teardown, options: TestGatewayOptions = {}) {
  return buildTestGateway(t, (await startUpstream(t)).url, { ...options, config: { apps: APPS, ...options.config } })
}

export function call(gateway: TestGateway, path: string, init: RequestInit & { token?: string } = {}, appid = APPID) {
  return gateway.service(`/wxapi/${appid}${path}`, { token: SERVICE_TOKEN, ...init })
}

export interface Echo {
  readonly errcode: number
  readonly echo: {
    method: string
    path: string
    query: Record<string, string>
    body_bytes: number
    body_sha256: string
  }
}

export const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')

export const callsOf = (gateway: TestGateway, path: string) => gateway.sandbox.state.calls.counts().byPath[path] ?? 0

/** A server that replaces WeChat and answers by a function of the test. */
export async function startWeChat(t: Teardown, handler: RequestListener) {
  return startServer(t, (req, res) => {
    if (req.url?.startsWith(TOKEN_CALL)) {
      req.resume()
      res.end(JSON.stringify({ access_token: 'canary-access-token', expires_in: 7200 }))
    } else handler(req, res)
  })
}
