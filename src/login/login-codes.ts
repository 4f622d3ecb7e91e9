/** A login code is exchanged once, however often and wherever it is posted: everyone who posts it gets the one answer. */
import { createHash } from 'node:crypto'
import { ApiError, type ErrorCode, StoreError } from '../errors.ts'
import type { UserStatus } from '../identity/principal.ts'
import type { Session } from '../identity/sessions.ts'
import type { Store } from '../store/port.ts'

/** How long an answer is given again (milliseconds). */
const REPEAT_WINDOW = 10_000
const POLL_INTERVAL = 50
const PENDING = 'pending'
/** A claim is good for this long unless its holder renews it (milliseconds): one whose holder was killed, or was never
 *  told by a store in trouble that it had it, must not keep the code from the client's next attempt. */
const LEASE = 3_000
const RENEWAL = 1_000

/** What a login came to: enough to give its answer again. */
export interface LoginResult {
  /** As it began. */
  readonly session: Session
  readonly status: UserStatus
  readonly isNew: boolean
  /** What the login hook wants passed to the client. */
  readonly profile: Readonly<Record<string, unknown>> | null
}

export interface LoginCodes {
  /** Runs `exchange` unless someone else has this code in hand; then waits for what that comes to. `admit` is asked at the
   *  same time as the store: where it throws, nothing is exchanged. An answer whose session has ended since is none: then
   *  it is WeChat that says what the code is still good for. */
  once(appId: string, code: string, steps: LoginSteps): Promise<LoginResult>
}

export interface LoginSteps {
  readonly admit: () => Promise<void>
  readonly exchange: () => Promise<LoginResult>
  /** Whether the session of an earlier answer is still there. */
  readonly isAlive: (result: LoginResult) => Promise<boolean>
}

/** After these the code may be fresh still, and another attempt is worth while. */
const TRANSIENT = new Set<ErrorCode>([
  'wechat_unavailable',
  'store_unavailable',
  'rate_limited',
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_unreachable'
])

/** @param timeout Milliseconds that an exchange can take at most. */
export function createLoginCodes({ store, timeout }: { store: Store; timeout: number }): LoginCodes {
  const inFlight = new Map<string, Promise<LoginResult>>()
  const patience = timeout + 2_000

  /** Both questions go to the store together, since a login is a matter of round trips. */
  async function claim(key: string, admit: () => Promise<void>): Promise<boolean> {
    const [claimed, admitted] = await Promise.allSettled([store.setIfAbsent(key, PENDING, LEASE), admit()])
    if (admitted.status === 'rejected') {
      if (claimed.status === 'fulfilled' && claimed.value) await store.delete(key).catch(() => false)
      throw admitted.reason
    }
    if (claimed.status === 'rejected') throw claimed.reason
    return claimed.value
  }

  async function claimOrWait(key: string, { admit, exchange, isAlive }: LoginSteps): Promise<LoginResult> {
    const deadline = performance.now() + patience
    let isClaimed = await claim(key, admit)
    while (performance.now() < deadline) {
      if (isClaimed) return settle(key, exchange)
      const stored = await store.get(key)
      if (stored !== undefined && stored !== PENDING) {
        const answer = readAnswer(stored)
        if (await isAlive(answer)) return answer
        isClaimed = await store.compareAndSet(key, stored, PENDING, LEASE)
        continue
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL))
      isClaimed = await store.setIfAbsent(key, PENDING, LEASE)
    }
    throw new StoreError('another instance did not finish exchanging the login code')
  }

  async function settle(key: string, exchange: () => Promise<LoginResult>): Promise<LoginResult> {
    const renewal = setInterval(() => {
      store.compareAndSet(key, PENDING, PENDING, LEASE).catch(() => false)
    }, RENEWAL)
    try {
      const result = await exchange().finally(() => clearInterval(renewal))
      await store.set(key, JSON.stringify(result), REPEAT_WINDOW)
      return result
    } catch (error) {
      if (error instanceof ApiError && !TRANSIENT.has(error.code)) {
        await store.set(key, JSON.stringify({ error: error.code, detail: error.detail }), REPEAT_WINDOW)
      } else {
        await store.delete(key).catch(() => false)
      }
      throw error
    }
  }

  return {
    once(appId, code, steps) {
      const key = `code:${createHash('sha256').update(`${appId}:${code}`).digest('base64url')}`
      const running = inFlight.get(key)
      if (running) return running
      const started = claimOrWait(key, steps).finally(() => inFlight.delete(key))
      inFlight.set(key, started)
      return started
    }
  }
}

function readAnswer(stored: string): LoginResult {
  const answer = JSON.parse(stored) as LoginResult | { error: ErrorCode; detail: string }
  if ('error' in answer) throw new ApiError(answer.error, answer.detail)
  return answer
}
