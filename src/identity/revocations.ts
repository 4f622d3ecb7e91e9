/** Revoked access tokens: every process follows a feed in the store and decides requests from
 *  memory. An entry outlives every access token that it revokes. */
import type { Clock, Timer } from '../clock.ts'
import type { Store } from '../store/port.ts'
import type { Log } from '../telemetry/log.ts'
import { type Entry, parseEntry } from './feed-entry.ts'
import { createLostEnds, type KnownEnd, type LostEnd } from './lost-ends.ts'
import { createPerUser } from './per-user.ts'
import type { Principal, UserStatus } from './principal.ts'

/** Interval between two readings of the feed. An end is in force everywhere after one interval
 *  and one reading (milliseconds). */
const POLL_INTERVAL = 200
/** Entries per reading: few enough not to delay requests. */
const PAGE = 1_000
const SWEEP_INTERVAL = 60_000
/** An entry outlives the longest token by this much (milliseconds): clocks of instances differ,
 *  and a login that races with an end gets its token a moment later. */
const MARGIN = 60_000

export interface Revocations {
  /** Reads the whole feed, then follows it. Resolves after the first whole reading, however long
   *  the store was unreachable. */
  start(): Promise<void>
  stop(): void
  /** In force on this instance when it resolves, elsewhere within a second. After a failure the
   *  outcome is unknown; repeating the call is safe. */
  endSession(id: string): Promise<void>
  endUser(appId: string, openId: string, epoch: number): Promise<void>
  markBound(appId: string, openId: string): Promise<void>
  isRevoked(principal: Pick<Principal, 'appId' | 'openId' | 'sessionId' | 'epoch'>): boolean
  /** True when this process has read the end of the session. */
  hasEnded(session: Pick<Principal, 'appId' | 'openId' | 'epoch'> & { readonly id: string }): boolean
  /** The lowest epoch of a live session of the user that this process has read; 0 when unknown. */
  epochOf(appId: string, openId: string): number
  /** The user's status, which may be newer than the token's. */
  statusOf(principal: Principal): UserStatus
  /** Grows with every change; an equal number means equal answers. */
  readonly version: number
  readonly size: number
  /** False until the feed was read whole, and again after the feed was unreadable for longer
   *  than the grace. */
  readonly isTrusted: boolean
  /** Milliseconds since the feed was last read to its end; Infinity when it never was. */
  age(): number
  configure(limits: RevocationLimits): void
  /** Sets the repair of the records behind an end that the store lost. */
  mendWith(mend: (end: LostEnd) => Promise<void>): void
}

export interface RevocationsOptions extends RevocationLimits {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

/** Limits that a reload can change. */
export interface RevocationLimits {
  /** Milliseconds: the lifetime of an access token, and the time to go on without the feed. */
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
  let timer: Timer | undefined
  let isStopped = false
  let isAway = false
  let isTrusted = false

  /** Ends that another process wrote again, with their own end. That process goes on to write them:
   *  were all to do so, an end would never expire. */
  const relayed = new Map<string, number>()
  let mend: (end: LostEnd) => Promise<void> = async () => {}

  const lostEnds = createLostEnds({
    mend: (end) => mend(end),
    async append({ end, ttl }) {
      const what = 'sessionId' in end ? { s: end.sessionId } : { a: end.appId, u: end.openId, e: end.epoch }
      await store.appendFeed(JSON.stringify({ ...what, x: clock.now() + ttl, r: 1 }), ttl)
    },
    log
  })

  /** Ends that tokens in use may still need, and that no other process writes again. */
  function* knownEnds(): Iterable<KnownEnd> {
    const soon = clock.monotonic() + MARGIN
    const ttlOf = (until: number) => until - clock.monotonic()
    for (const [sessionId, until] of sessions) {
      if (until > soon && !relayed.has(sessionId)) yield { end: { sessionId }, ttl: ttlOf(until) }
    }
    for (const [appId, openId, { epoch, until }] of users.entries()) {
      const isRelayed = relayed.has(`${appId}:${openId}:${epoch}`)
      if (until > soon && !isRelayed) yield { end: { appId, openId, epoch }, ttl: ttlOf(until) }
    }
  }

  /** Applies an entry of the feed. */
  function take(entry: Entry): void {
    const isKnown =
      's' in entry ? sessions.has(entry.s) : 'u' in entry && users.get(entry.a, entry.u)?.epoch === entry.e
    apply(entry)
    if ('s' in entry) lostEnds.seen({ sessionId: entry.s })
    else if ('u' in entry) lostEnds.seen({ appId: entry.a, openId: entry.u, epoch: entry.e })
    if (entry.r === undefined || isKnown) return
    const until = clock.monotonic() + life
    if ('s' in entry) relayed.set(entry.s, until)
    else if ('u' in entry) relayed.set(`${entry.a}:${entry.u}:${entry.e}`, until)
  }

  function apply(entry: Entry): void {
    // Monotonic: a wall clock that is wrong at this moment must not change how long the entry
    // lasts.
    const until = clock.monotonic() + life
    // Reading an entry again does not extend it.
    if ('s' in entry) sessions.set(entry.s, sessions.get(entry.s) ?? until)
    else if ('u' in entry) {
      const known = users.get(entry.a, entry.u)
      // Entries may arrive twice, and older ones after newer ones.
      const epoch = Math.max(entry.e, known?.epoch ?? 0)
      users.set(entry.a, entry.u, { epoch, until: known?.epoch === epoch ? known.until : until })
    } else if ('b' in entry) bound.set(entry.a, entry.b, bound.get(entry.a, entry.b) ?? until)
    version++
  }

  async function publish(entry: Entry): Promise<void> {
    // Write the feed first: with the entry applied and the write failed, a repeated call would be
    // refused as coming from an ended session, and other instances would never learn of the end.
    await store.appendFeed(JSON.stringify(entry), life)
    apply(entry)
  }

  function sweep(now: number): void {
    if (now - lastSweep < SWEEP_INTERVAL) return
    lastSweep = now
    for (const [id, until] of sessions) if (until <= now) sessions.delete(id)
    for (const [name, until] of relayed) if (until <= now) relayed.delete(name)
    users.sweep((user) => user.until <= now)
    bound.sweep((until) => until <= now)
  }

  /** @returns The time from which on the feed may hold entries that were not read. */
  async function readToEnd(): Promise<number> {
    for (;;) {
      const askedAt = clock.monotonic()
      const page = await store.readFeed(cursor, PAGE)
      if (page.hasRestarted) lostEnds.restarted()
      for (const text of page.entries) {
        const entry = parseEntry(text)
        if (entry) take(entry)
      }
      cursor = page.cursor
      if (page.entries.length === PAGE) continue
      await lostEnds.restore(knownEnds)
      return askedAt
    }
  }

  async function poll(): Promise<void> {
    try {
      lastRead = await readToEnd()
      isTrusted = true
      if (isAway) log.info('the store answers again; revocations are up to date')
      isAway = false
    } catch (error) {
      // A read that was under way when the store closed is no fault of the store.
      if (isStopped) return
      if (!isAway) log.warn({ err: error }, 'the store does not answer; revocations are not up to date')
      isAway = true
      if (isTrusted && age() > grace) {
        isTrusted = false
        log.error('the store has not answered for longer than sessions.storeGrace; access tokens are refused')
      }
    }
    sweep(clock.monotonic())
  }

  const age = () => clock.monotonic() - lastRead

  function schedule(): void {
    if (isStopped) return
    timer = clock.setTimeout(() => poll().then(schedule), POLL_INTERVAL)
    timer.unref()
  }

  const until = () => clock.now() + life

  return {
    async start() {
      while (!isStopped) {
        await poll()
        if (isTrusted) break
        await new Promise<void>((resolve) => {
          timer = clock.setTimeout(resolve, POLL_INTERVAL)
        })
      }
      schedule()
    },
    stop() {
      isStopped = true
      clock.clearTimeout(timer)
    },
    endSession: (id) => publish({ s: id, x: until() }),
    endUser: (appId, openId, epoch) => publish({ a: appId, u: openId, e: epoch, x: until() }),
    markBound(appId, openId) {
      const entry: Entry = { a: appId, b: openId, x: until() }
      // Applied even when the feed write fails: a bound user is refused nowhere.
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
    mendWith(repair) {
      mend = repair
    },
    configure(next) {
      grace = next.grace
      // Tokens issued with the longer lifetime may still be in use.
      life = Math.max(life, next.accessTtl + MARGIN)
    }
  }
}
