/** Login codes: a code is exchanged once. Within the window, everyone who sends it gets the
 *  same answer. */
import { createHash } from 'node:crypto'
import { ApiError, type ErrorCode, StoreError } from '../errors.ts'
import type { UserStatus } from '../identity/principal.ts'
import type { Session } from '../identity/sessions.ts'
import type { Store } from '../store/port.ts'

const POLL_INTERVAL_MS = 50
const PENDING = 'pending:'
/** A claim ends after this without a renewal. A killed holder, or one that never learned of its
 *  claim, must not block the client's next attempt. */
const LEASE_MS = 3_000
const RENEWAL_MS = 1_000
/** Time for the store on top of the longest exchange. */
const STORE_MARGIN_MS = 2_000

/** The part of a login that is needed to give its answer again. */
export interface LoginResult {
  /** The session as it began. */
  readonly session: Session
  readonly status: UserStatus
  readonly isNew: boolean
  /** Members that the login hook adds to the client's answer. */
  readonly profile: Readonly<Record<string, unknown>> | null
}

/** The answer of an earlier login with the same code. */
export interface EarlierLogin {
  readonly result: LoginResult
  /** The stored text. */
  readonly stored: string
}

export interface LoginCodes {
  /** @param attempt Random text that binds a repeat to its sender; null when none was sent. */
  open(appId: string, code: string, attempt: string | null): LoginCode
}

/** One code as one caller holds it. `take`, `wait` and `replace` claim it; every claim ends
 *  with `settle`, `fail` or `release`. */
export interface LoginCode {
  /** True when this caller has claimed the code. */
  take(): Promise<boolean>
  /** Waits for another caller's login. Null when this caller claimed the code instead. Throws
   *  the stored error of a failed login, and a StoreError when the other caller never finishes. */
  wait(): Promise<EarlierLogin | null>
  /** Claims a code whose earlier login is no longer valid. False when another caller was faster. */
  replace(earlier: EarlierLogin): Promise<boolean>
  settle(result: LoginResult): Promise<void>
  fail(error: unknown): Promise<void>
  release(): Promise<void>
}

export interface LoginCodesOptions {
  readonly store: Pick<Store, 'get' | 'set' | 'delete' | 'setIfAbsent' | 'compareAndSet'>
  /** Longest time of one exchange, hook included. */
  readonly timeoutMs: number
  /** 0 means that a code is never answered twice. */
  readonly repeatWindowMs: number
  /** Called when a code arrives a second time from another sender. */
  readonly onForeignRepeat: (appId: string) => void
}

const USED = new ApiError('code_used', 'The login code was sent before, by another sender. Call wx.login again.')

/** The code may still be fresh after these errors: another attempt is worthwhile. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'wechat_unavailable',
  'store_unavailable',
  'rate_limited',
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_unreachable'
])

export function createLoginCodes(options: LoginCodesOptions): LoginCodes {
  const { store, timeoutMs, repeatWindowMs, onForeignRepeat } = options
  return {
    open(appId, code, attempt) {
      const key = `code:${createHash('sha256').update(`${appId}:${code}`).digest('base64url')}`
      const sender = attempt === null ? '' : createHash('sha256').update(attempt).digest('base64url')
      const pending = PENDING + sender
      let renewal: NodeJS.Timeout | undefined

      function hold(isClaimed: boolean): boolean {
        if (!isClaimed) return false
        renewal = setInterval(() => {
          store.compareAndSet(key, pending, pending, LEASE_MS).catch(() => false)
        }, RENEWAL_MS)
        return true
      }

      const take = async () => hold(await store.setIfAbsent(key, pending, LEASE_MS))

      async function release(): Promise<void> {
        clearInterval(renewal)
        await store.delete(key).catch(() => false)
      }

      async function keep(answer: object): Promise<void> {
        if (repeatWindowMs === 0) return release()
        clearInterval(renewal)
        await store.set(key, JSON.stringify({ sender, ...answer }), repeatWindowMs)
      }

      return {
        take,
        release,

        async wait() {
          const deadline = performance.now() + timeoutMs + STORE_MARGIN_MS
          while (performance.now() < deadline) {
            const stored = await store.get(key)
            if (stored !== undefined) {
              const { sender: first, answer } = readStored(stored)
              if (first !== sender || repeatWindowMs === 0) {
                onForeignRepeat(appId)
                throw USED
              }
              if (answer !== null) return { result: toResult(answer), stored }
            }
            await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))
            if (await take()) return null
          }
          throw new StoreError('another instance did not finish exchanging the login code')
        },

        replace: async ({ stored }) => hold(await store.compareAndSet(key, stored, pending, LEASE_MS)),

        settle: (result) => keep({ result }),

        async fail(error) {
          if (!(error instanceof ApiError) || TRANSIENT.has(error.code)) return release()
          await keep({ error: error.code, detail: error.detail })
        }
      }
    }
  }
}

interface Answer {
  readonly result?: LoginResult
  readonly error?: ErrorCode
  readonly detail?: string
}

function readStored(stored: string): { sender: string; answer: Answer | null } {
  if (stored.startsWith(PENDING)) return { sender: stored.slice(PENDING.length), answer: null }
  const { sender = '', ...answer } = JSON.parse(stored) as Answer & { sender?: string }
  return { sender, answer }
}

function toResult({ result, error, detail = '' }: Answer): LoginResult {
  if (result !== undefined) return result
  throw new ApiError(error ?? 'code_used', detail)
}
