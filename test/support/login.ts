/** A gateway for tests of the login. */
import type { Test } from 'tap'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  type TestGateway,
  type TestGatewayOptions
} from './gateway.ts'
import { startUpstream } from './upstream.ts'

export async function build(t: Test, config: Record<string, unknown> = {}, rest: TestGatewayOptions = {}) {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { ...rest, config })
  return { gateway, upstream, exchanges: () => gateway.sandbox.state.calls.counts().total }
}

export const post = (gateway: TestGateway, path: string, body: unknown, init: RequestInit = {}) =>
  gateway.call(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), ...init })

export const twoApps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
