/** Limits of calls to WeChat's API, for each app and for each service token within an app: one
 *  backend cannot use up the quota or the connections of the others. */
import type { AppConfig, ServiceConfig, WxapiLimit } from '../config/config.ts'
import { ApiError } from '../errors.ts'

export interface WxapiLimits {
  /** Admits a call; throws overloaded or rate_limited. Ends with a call of the returned function,
   *  which may be called more than once. */
  enter(caller: string, appId: string): Promise<() => void>
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

  return {
    async enter(caller, appId) {
      const leaves: (() => void)[] = []
      const leave = () => {
        for (const one of leaves.splice(0)) one()
      }
      const [own, shared] = [callers.get(caller), ofApps.get(appId)]
      try {
        if (own) leaves.push(begin(own, appId, BUSY_CALLER))
        if (shared) leaves.push(begin(shared, appId, BUSY_APP))
        // A call beyond the token's own limit does not count for the app.
        await own?.limiter?.hit(appId)
        await shared?.limiter?.hit(appId)
        return leave
      } catch (error) {
        leave()
        throw error
      }
    }
  }
}

function begin({ underWay, concurrency }: Limit, key: string, busy: ApiError): () => void {
  const running = underWay.get(key) ?? 0
  if (running >= concurrency) throw busy
  underWay.set(key, running + 1)
  return () => underWay.set(key, (underWay.get(key) ?? 1) - 1)
}
