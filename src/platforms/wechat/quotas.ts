/** Quotas of WeChat's API: the paths that each app has called, and the quota of a path as WeChat
 *  reports it. A question counts at WeChat like any call, so an answer is given again for a
 *  minute. */
import type { Clock } from '../../clock.ts'
import { ApiError } from '../../errors.ts'
import { flatCopy } from '../../flat-text.ts'
import type { PlatformApp } from '../port.ts'
import type { CalledPath, Quota, QuotaCapability } from '../quota-port.ts'
import { readErrcode, type WeChatAnswer } from './errcodes.ts'

/** Of an app. A further path replaces the one with the fewest calls. */
const MAX_PATHS = 50
const LONGEST_PATH = 128
/** An answer younger than this is given again (milliseconds). */
const FRESH_MS = 60_000
/** The same for a question that failed. */
const FRESH_FAILURE_MS = 5_000
/** Questions about an app in a minute. */
const MAX_QUESTIONS = 60
const MINUTE_MS = 60_000

const TOO_MANY = new ApiError(
  'rate_limited',
  `The gateway asks WeChat for at most ${MAX_QUESTIONS} quotas of a mini-program in a minute.`,
  { retryAfter: 60 }
)

interface Entry {
  calls: number
  quota: Quota | null
  flight: Promise<Quota> | null
}

interface AppQuotas {
  readonly paths: Map<string, Entry>
  /** Start of the minute in which questions are counted, on the monotonic clock. */
  minute: number
  questions: number
}

export interface Quotas extends QuotaCapability<PlatformApp> {
  /** Counts a call with the app's access token. */
  called(appId: string, path: string): void
}

export interface QuotasDeps {
  /** The answer of POST /cgi-bin/openapi/quota/get. Throws an ApiError without one. */
  readonly ask: (app: PlatformApp, path: string) => Promise<WeChatAnswer>
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
}

export function createQuotas({ ask, clock }: QuotasDeps): Quotas {
  const apps = new Map<string, AppQuotas>()

  function quotasOf(appId: string): AppQuotas {
    const found = apps.get(appId) ?? { paths: new Map(), minute: Number.NEGATIVE_INFINITY, questions: 0 }
    apps.set(appId, found)
    return found
  }

  function add(paths: Map<string, Entry>, path: string): Entry {
    if (paths.size >= MAX_PATHS) {
      const [least] = [...paths].reduce((one, other) => (other[1].calls < one[1].calls ? other : one))
      paths.delete(least)
    }
    const entry = { calls: 0, quota: null, flight: null }
    paths.set(flatCopy(path), entry)
    return entry
  }

  function countQuestion(app: AppQuotas): void {
    const now = clock.monotonic()
    if (now - app.minute >= MINUTE_MS) Object.assign(app, { minute: now, questions: 0 })
    if (app.questions >= MAX_QUESTIONS) throw TOO_MANY
    app.questions += 1
  }

  async function question(app: PlatformApp, path: string): Promise<Quota> {
    const none = { daily: null, rate: null, errcode: null, failure: null }
    try {
      return { ...none, ...readQuota(await ask(app, path)), readAt: clock.now() }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { ...none, failure: { code: error.code, detail: error.message }, readAt: clock.now() }
    }
  }

  const isFresh = ({ readAt, failure }: Quota) =>
    clock.now() - readAt < (failure === null ? FRESH_MS : FRESH_FAILURE_MS) && readAt <= clock.now()

  return {
    called(appId, path) {
      if (path.length > LONGEST_PATH) return
      const { paths } = quotasOf(appId)
      const entry = paths.get(path) ?? add(paths, path)
      entry.calls += 1
    },
    paths: (appId) =>
      [...(apps.get(appId)?.paths ?? [])].map(([path, { calls, quota }]): CalledPath => ({ path, calls, quota })),
    async read(app, path) {
      const own = quotasOf(app.appId)
      const entry = own.paths.get(path) ?? add(own.paths, path)
      if (entry.quota !== null && isFresh(entry.quota)) return entry.quota
      if (entry.flight === null) {
        countQuestion(own)
        entry.flight = question(app, path).finally(() => {
          entry.flight = null
        })
      }
      entry.quota = await entry.flight
      return entry.quota
    }
  }
}

type Read = Partial<Pick<Quota, 'daily' | 'rate' | 'errcode' | 'failure'>>

function readQuota(answer: WeChatAnswer): Read {
  const errcode = readErrcode(answer)
  if (errcode !== 0) return Number.isNaN(errcode) ? INVALID : { errcode }
  const [limit, used, remain] = numbersOf(answer.quota, ['daily_limit', 'used', 'remain'])
  const [max, seconds] = numbersOf(answer.rate_limit, ['call_count', 'refresh_second'])
  if (limit === undefined || used === undefined || remain === undefined) return INVALID
  return {
    daily: { limit, used, remain },
    // Older answers have no rate_limit.
    rate: max === undefined || seconds === undefined ? null : { max, windowMs: seconds * 1000 }
  }
}

const INVALID: Read = { failure: { code: 'wechat_unavailable', detail: 'WeChat gave no valid answer.' } }

function numbersOf(value: unknown, names: readonly string[]): readonly (number | undefined)[] {
  const fields = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  return names.map((name) => {
    const field = fields[name]
    return typeof field === 'number' && Number.isSafeInteger(field) && field >= 0 ? field : undefined
  })
}
