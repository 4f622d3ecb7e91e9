/** Which access tokens are dead before their time: a feed in the store that every process follows, so that a request is
 *  decided from memory. An entry lives a little longer than the longest access token; then all it speaks of has expired. */
import type { Clock } from '../clock.ts'
import type { Store } from '../store/port.ts'
import type { Log } from '../telemetry/log.ts'
import { createPerUser } from './per-user.ts'
import type { Principal, UserStatus } from './principal.ts'

/** Interval between two readings of the feed; an end is in force everywhere within this plus one reading (milliseconds). */
const POLL_INTERVAL = 200
/** Entries read at a time, few enough for requests not to wait for them. */
const PAGE = 1_000
const SWEEP_INTERVAL = 60_000
/** Clocks of several instances differ, and a login that an end overtakes gets its token a moment after it: an entry is
 *  kept for this much longer than the longest token (milliseconds). */
const MARGIN = 60_000

/** `s`: a session ended. `u`: all sessions of a user (openid) of `a` (appid) below epoch `e` ended. `b`: a user of `a` has
 *  become bound. `x`: until when the entry matters. */
type Entry = { x: number } & ({ s: string } | { a: string; u: string; e: number } | { a: string; b: string })

export interface Revocations {
  /** Reads the whole feed, then keeps following it. Resolves when the first whole reading is done, however long the
   *  store is away. */
  start(): Promise<void>
  stop(): void
  /** In force here when this resolves, elsewhere within a second. When it fails nothing is known; ending again is safe. */
  endSession(id: string): Promise<void>
  endUser(appId: string, openId: string, epoch: number): Promise<void>
  markBound(appId: string, openId: string): Promise<void>
  isRevoked(principal: Principal): boolean
  /** Whether this process knows that the session was ended. */
  hasEnded(session: Pick<Principal, 'appId' | 'openId' | 'epoch'> & { readonly id: string }): boolean
  /** The lowest epoch of a live session of the user, as far as this process knows; 0 when unknown. */
  epochOf(appId: string, openId: string): number
  /** The status a token carries may be older than the user's. */
  statusOf(principal: Principal): UserStatus
  /** Grows with every change; the same number means the same answers. */
  readonly version: number
  readonly size: number
  /** False until the feed was read whole, and again when it could not be read for longer than the grace. */
  readonly isTrusted: boolean
  /** Milliseconds since the feed was last read to its end; Infinity when it never was. */
  age(): number
  configure(limits: RevocationLimits): void
}

export interface RevocationsOptions extends RevocationLimits {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

/** Limits that a reload can change. */
export interface RevocationLimits {
  /** Milliseconds: the life of an access token, and how long to go on without the feed. */
  readonly accessTtl: number
  readonly grace: number
}

export function createRevocations({ store, clock, log, ...limits }: RevocationsOptions): Revocations {
  const sessions = new Map<string, number>()
  const users = createPerUser<{ epoch: number; until: number }>()
  const bound = createPerUser<number>()
  let { grace } = limits
  let life = limits.accessTtl + MARGIN
  let version = 0
  let cursor = ''
  let lastRead = Number.NEGATIVE_INFINITY
  let lastSweep = clock.monotonic()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let isAway = false
  let isTrusted = false

  function apply(entry: Entry): void {
    // The wall clock may be wrong while the entry is read. It matters for one life at most, by monotonic time.
    const until = clock.monotonic() + life
    // An entry that is read again is not kept longer.
    if ('s' in entry) sessions.set(entry.s, sessions.get(entry.s) ?? until)
    else if ('u' in entry) {
      const known = users.get(entry.a, entry.u)
      // Entries may be read again, and older ones after newer ones.
      const epoch = Math.max(entry.e, known?.epoch ?? 0)
      users.set(entry.a, entry.u, { epoch, until: known?.epoch === epoch ? known.until : until })
    } else if ('b' in entry) bound.set(entry.a, entry.b, bound.get(entry.a, entry.b) ?? until)
    version++
  }

  async function publish(entry: Entry): Promise<void> {
    // First the feed: were the entry known here alone and the feed not written, a repetition of the call would be
    // refused as coming from an ended session, and the other instances would never learn.
    await store.appendFeed(JSON.stringify(entry), life)
    apply(entry)
  }

  function sweep(now: number): void {
    if (now - lastSweep < SWEEP_INTERVAL) return
    lastSweep = now
    for (const [id, until] of sessions) if (until <= now) sessions.delete(id)
    users.sweep((user) => user.until <= now)
    bound.sweep((until) => until <= now)
  }

  async function readToEnd(): Promise<void> {
    for (;;) {
      const page = await store.readFeed(cursor, PAGE)
      for (const text of page.entries) {
        const entry = parseEntry(text)
        if (entry) apply(entry)
      }
      cursor = page.cursor
      if (page.entries.length < PAGE) return
    }
  }

  async function poll(): Promise<void> {
    try {
      await readToEnd()
      lastRead = clock.monotonic()
      isTrusted = true
      if (isAway) log.info('the store answers again; revocations are up to date')
      isAway = false
    } catch (error) {
      if (!isAway) log.warn({ err: error }, 'the store does not answer; revocations are not up to date')
      isAway = true
      if (isTrusted && age() > grace) {
        isTrusted = false
        log.error('the store has been away for longer than sessions.storeGrace; requests that need a login are refused')
      }
    }
    sweep(clock.monotonic())
  }

  const age = () => clock.monotonic() - lastRead

  function schedule(): void {
    if (isStopped) return
    timer = setTimeout(() => poll().then(schedule), POLL_INTERVAL)
    timer.unref()
  }

  const until = () => clock.now() + life

  return {
    async start() {
      while (!isStopped) {
        await poll()
        if (isTrusted) break
        await new Promise((resolve) => {
          timer = setTimeout(resolve, POLL_INTERVAL)
        })
      }
      schedule()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
    endSession: (id) => publish({ s: id, x: until() }),
    endUser: (appId, openId, epoch) => publish({ a: appId, u: openId, e: epoch, x: until() }),
    markBound(appId, openId) {
      const entry: Entry = { a: appId, b: openId, x: until() }
      // Known here whatever becomes of the feed: nobody is refused for it.
      apply(entry)
      return publish(entry)
    },
    epochOf: (appId, openId) => users.get(appId, openId)?.epoch ?? 0,
    hasEnded: ({ id, appId, openId, epoch }) => sessions.has(id) || epoch < (users.get(appId, openId)?.epoch ?? 0),
    isRevoked(principal) {
      if (sessions.size > 0 && sessions.has(principal.sessionId)) return true
      if (users.size === 0) return false
      const user = users.get(principal.appId, principal.openId)
      return user !== undefined && principal.epoch < user.epoch
    },
    statusOf(principal) {
      if (principal.status === 'bound' || bound.size === 0) return principal.status
      return bound.get(principal.appId, principal.openId) === undefined ? principal.status : 'bound'
    },
    get version() {
      return version
    },
    get size() {
      return sessions.size + users.size
    },
    get isTrusted() {
      return isTrusted
    },
    age,
    configure(next) {
      grace = next.grace
      // Tokens of the longer life before may still be about.
      life = Math.max(life, next.accessTtl + MARGIN)
    }
  }
}

function parseEntry(text: string): Entry | null {
  try {
    const entry = JSON.parse(text) as Record<string, unknown>
    if (typeof entry.x !== 'number') return null
    const isUser = typeof entry.a === 'string' && typeof entry.u === 'string' && typeof entry.e === 'number'
    const isBound = typeof entry.a === 'string' && typeof entry.b === 'string'
    return typeof entry.s === 'string' || isUser || isBound ? (entry as unknown as Entry) : null
  } catch {
    return null
  }
}
