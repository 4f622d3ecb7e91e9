/** A gateway whose service listener has a token of each scope. */
import { createHmac } from 'node:crypto'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  SERVICE_TOKEN,
  type TestGateway,
  type TestGatewayOptions
} from './gateway.ts'
import type { Teardown } from './listen.ts'
import { startUpstream } from './upstream.ts'

export const APP_KEY = 'canary-app-key-live'
export const SANDBOX_APP_KEY = 'canary-app-key-sandbox'
const APPS = [
  { appid: APPID, secret: APP_SECRET, virtualPay: { appKey: APP_KEY, sandboxAppKey: SANDBOX_APP_KEY } },
  { appid: OTHER_APPID, secret: APP_SECRET }
]
export const SESSION_ONLY = 'session-token-0123456789'
export const ADMIN_ONLY = 'admin-token-0123456789'
export const WXAPI_ONLY = 'wxapi-token-0123456789'
const TOKENS = [
  { name: 'all', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'pay', 'admin'] },
  { name: 'orders', token: SESSION_ONLY, scopes: ['session'] },
  { name: 'desk', token: ADMIN_ONLY, scopes: ['admin'] },
  { name: 'mailer', token: WXAPI_ONLY, scopes: ['wxapi'] }
]

export async function build(t: Teardown, options: TestGatewayOptions = {}) {
  const upstream = await startUpstream(t)
  const service = { host: '127.0.0.1', port: 2, tokens: TOKENS }
  return buildTestGateway(t, upstream.url, { ...options, config: { apps: APPS, service, ...options.config } })
}

export async function call(gateway: TestGateway, path: string, body?: unknown, token = SERVICE_TOKEN, method = 'POST') {
  const response = await gateway.service(path, {
    method,
    token,
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Record<string, unknown> | null }
}

export const openIdOf = (gateway: TestGateway, name: string, appId = APPID) =>
  gateway.sandbox.state.people.person(appId, name).openId

export const keyOf = (gateway: TestGateway, name: string, appId = APPID) =>
  gateway.sandbox.state.people.sessionKeys(appId, openIdOf(gateway, name, appId)).current ?? ''

export const hmac = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex')
