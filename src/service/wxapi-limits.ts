/** Limits of calls to WeChat's API, for each app and for each service token within an app: one
 *  backend cannot use up the quota or the connections of the others. */
import type { AppConfig, ServiceConfig, WxapiLimit } from '../config/config.ts'
import { ApiError } from '../errors.ts'

export type Leave = () => void

export interface WxapiLimits {
  /** Admits a call; throws or rejects with overloaded or rate_limited. Ends with a call of the
   *  returned function, which may be called more than once. A promise only where a rate is
   *  limited. */
  enter(caller: string, appId: string): Leave | Promise<Leave>
}

export interface WxapiLimitsOptions {
  readonly tokens: readonly Pick<ServiceConfig['tokens'][number], 'name' | 'wxapiLimit'>[]
  readonly apps: readonly Pick<AppConfig, 'appId' | 'wxapiLimit'>[]
  /** @param name Keeps the counters of different limits apart. */
  createRateLimiter(name: string, limit: NonNullable<WxapiLimit['rateLimit']>): { hit(key: string): Promise<unknown> }
}

interface Limit {
  /** Calls under way, by key. */
  readonly underWay: Map<string, number>
  readonly concurrency: number
  readonly limiter: { hit(key: string): Promise<unknown> } | null
}

const BUSY_CALLER = new ApiError('overloaded', 'This service token has too many calls to WeChat under way.')
const BUSY_APP = new ApiError('overloaded', 'The mini-program has too many calls to WeChat under way.')

export function createWxapiLimits({ tokens, apps, createRateLimiter }: WxapiLimitsOptions): WxapiLimits {
  const limitOf = (name: string, { concurrency, rateLimit }: WxapiLimit): Limit => ({
    underWay: new Map(),
    concurrency,
    limiter: rateLimit && createRateLimiter(name, rateLimit)
  })
  const callers = new Map(tokens.map(({ name, wxapiLimit }) => [name, limitOf(`wxapi:token:${name}`, wxapiLimit)]))
  const ofApps = new Map(apps.map(({ appId, wxapiLimit }) => [appId, limitOf('wxapi:app', wxapiLimit)]))

  async function count(own: Limit | undefined, shared: Limit | undefined, appId: string, leave: Leave): Promise<Leave> {
    try {
      // A call beyond the token's own limit does not count for the app.
      await own?.limiter?.hit(appId)
      await shared?.limiter?.hit(appId)
      return leave
    } catch (error) {
      leave()
      throw error
    }
  }

  return {
    enter(caller, appId) {
      const [own, shared] = [callers.get(caller), ofApps.get(appId)]
      if (own) begin(own, appId, BUSY_CALLER)
      try {
        if (shared) begin(shared, appId, BUSY_APP)
      } catch (error) {
        if (own) end(own, appId)
        throw error
      }
      let isIn = true
      const leave = () => {
        if (!isIn) return
        isIn = false
        if (own) end(own, appId)
        if (shared) end(shared, appId)
      }
      return own?.limiter || shared?.limiter ? count(own, shared, appId, leave) : leave
    }
  }
}

function begin({ underWay, concurrency }: Limit, key: string, busy: ApiError): void {
  const running = underWay.get(key) ?? 0
  if (running >= concurrency) throw busy
  underWay.set(key, running + 1)
}

function end({ underWay }: Limit, key: string): void {
  underWay.set(key, (underWay.get(key) ?? 1) - 1)
}
