/** The durable queue in the SQLite file. Every operation is atomic. */
import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock.ts'
import { createGroupCommit } from './group-commit.ts'
import { type Claim, type DeadEvent, type DurableQueue, FURTHEST_DUE_MS, type Settled, sizeOf } from './queue.ts'

/** `due` of a leased lane is the end of its lease. */
export const QUEUE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS queue_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, lane TEXT NOT NULL, value TEXT NOT NULL,
    size INTEGER NOT NULL, enqueued INTEGER NOT NULL, attempts INTEGER NOT NULL, died INTEGER, reason TEXT);
  CREATE INDEX IF NOT EXISTS queue_events_lane ON queue_events (queue, lane, seq) WHERE died IS NULL;
  CREATE INDEX IF NOT EXISTS queue_events_dead ON queue_events (queue, seq) WHERE died IS NOT NULL;
  CREATE TABLE IF NOT EXISTS queue_lanes (
    queue TEXT NOT NULL, lane TEXT NOT NULL, due INTEGER NOT NULL, lease TEXT NOT NULL,
    PRIMARY KEY (queue, lane)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS queue_lanes_due ON queue_lanes (queue, due);
  CREATE TABLE IF NOT EXISTS queue_depths (
    queue TEXT PRIMARY KEY, waiting INTEGER NOT NULL, bytes INTEGER NOT NULL, dead INTEGER NOT NULL) WITHOUT ROWID;`

export interface SqliteQueueOptions {
  readonly clock: Pick<Clock, 'now'>
  /** Runs synchronous work, again while the file is locked. */
  readonly write: <T>(work: (sql: QueueStatements) => T) => Promise<T>
  readonly read: <T>(work: (sql: QueueStatements) => T) => Promise<T>
}

const NO_LEASE = ''

export function createSqliteQueue({ clock, read, write }: SqliteQueueOptions): DurableQueue {
  const transaction = createGroupCommit<QueueStatements>((work) => write((sql) => sql.transaction(() => work(sql))))

  function depthOf(sql: QueueStatements, queue: string) {
    const row = sql.depth.get(queue)
    return { waiting: Number(row?.waiting ?? 0), bytes: Number(row?.bytes ?? 0), dead: Number(row?.dead ?? 0) }
  }

  function takeLane(sql: QueueStatements, queue: string, lane: string, leaseMs: number): string {
    const token = randomBytes(12).toString('base64url')
    sql.setLane.run({ queue, lane, due: clock.now() + leaseMs, lease: token })
    return token
  }

  /** Leases the oldest event of the lane; null for a lane without events. */
  function lease(sql: QueueStatements, queue: string, lane: string, leaseMs: number): Claim | null {
    const row = sql.first.get(queue, lane)
    if (row === undefined) {
      sql.removeLane.run(queue, lane)
      return null
    }
    const event = readEvent(row)
    sql.countAttempt.run(event.id)
    return { ...event, lane, attempt: Number(row.attempts) + 1, lease: takeLane(sql, queue, lane, leaseMs) }
  }

  /** Runs `work` while the claim holds the lease of its lane; then the lane is due at `dueAt`, or
   *  removed with its last event. */
  function settle(queue: string, claim: Claim, dueAt: () => number, work: (sql: QueueStatements) => void) {
    const { lane } = claim
    return transaction((sql): Settled => {
      if (sql.lane.get(queue, lane)?.lease !== claim.lease) return 'lost'
      work(sql)
      const isEmpty = sql.first.get(queue, lane) === undefined
      if (isEmpty) sql.removeLane.run(queue, lane)
      else sql.setLane.run({ queue, lane, due: dueAt(), lease: NO_LEASE })
      return isEmpty ? 'empty' : 'more'
    })
  }

  return {
    enqueue(queue, event, { leaseMs, rememberMs, maxEvents, maxBytes }) {
      const { lane, value } = event
      const size = sizeOf(event)
      return transaction((sql) => {
        const now = clock.now()
        const key = seenKey(queue, event.key)
        if (sql.isKnown.get(key, now) !== undefined) return { outcome: 'known' }
        const { waiting, bytes } = depthOf(sql, queue)
        if (waiting >= maxEvents || bytes + size > maxBytes) return { outcome: 'full' }
        sql.remember.run(key, now + rememberMs)
        const busy = sql.lane.get(queue, lane)
        const isLeased = busy === undefined && leaseMs !== null
        const attempts = isLeased ? 1 : 0
        const id = String(sql.add.run(queue, lane, value, size, now, attempts).lastInsertRowid)
        sql.addDepth.run({ queue, waiting: 1, bytes: size, dead: 0 })
        if (busy === undefined && !isLeased) sql.setLane.run({ queue, lane, due: now, lease: NO_LEASE })
        const isPaused = busy?.lease === NO_LEASE && Number(busy.due) > now
        if (!isLeased) return { outcome: 'added', id, claim: null, isPaused }
        const token = takeLane(sql, queue, lane, leaseMs)
        const claim = { id, lane, value, enqueuedAt: now, attempt: 1, lease: token }
        return { outcome: 'added', id, claim, isPaused: false }
      })
    },
    claim: (queue, count, leaseMs) =>
      transaction((sql) => {
        const now = clock.now()
        const lanes = sql.due.all({ queue, now, furthest: now + FURTHEST_DUE_MS, count })
        return lanes.flatMap(({ lane }) => lease(sql, queue, String(lane), leaseMs) ?? [])
      }),
    done: (queue, claim) =>
      settle(queue, claim, clock.now, (sql) => {
        sql.remove.run(claim.id)
        sql.addDepth.run({ queue, waiting: -1, bytes: -sizeOf(claim), dead: 0 })
      }),
    release: async (queue, claim, delayMs) =>
      (await settle(
        queue,
        claim,
        () => Math.ceil(clock.now() + delayMs),
        () => {}
      )) !== 'lost',
    bury: (queue, claim, reason, keep) =>
      settle(queue, claim, clock.now, (sql) => {
        sql.bury.run(clock.now(), reason, claim.id)
        sql.addDepth.run({ queue, waiting: -1, bytes: -sizeOf(claim), dead: 1 })
        const excess = depthOf(sql, queue).dead - keep
        if (excess > 0) {
          const { changes } = sql.forgetDead.run(queue, excess)
          sql.addDepth.run({ queue, waiting: 0, bytes: 0, dead: -Number(changes) })
        }
      }),
    isKnown: (queue, key) => read((sql) => sql.isKnown.get(seenKey(queue, key), clock.now()) !== undefined),
    dead: (queue, after, count) =>
      read((sql) => sql.dead.all(queue, Number(after || 0), count).map((row): DeadEvent => readDead(row))),
    revive: (queue, id) =>
      transaction((sql) => {
        const [row] = sql.revive.all(queue, id)
        if (row === undefined) return false
        const lane = String(row.lane)
        sql.addDepth.run({ queue, waiting: 1, bytes: Number(row.size), dead: -1 })
        if (sql.lane.get(queue, lane) === undefined) sql.setLane.run({ queue, lane, due: clock.now(), lease: NO_LEASE })
        return true
      }),
    depth: (queue) => read((sql) => depthOf(sql, queue))
  }
}

const seenKey = (queue: string, key: string) => `seen:${queue}:${key}`

type Row = Readonly<Record<string, unknown>>

function readEvent(row: Row) {
  return { id: String(row.seq), value: String(row.value), enqueuedAt: Number(row.enqueued) }
}

function readDead(row: Row): DeadEvent {
  return { ...readEvent(row), lane: String(row.lane), diedAt: Number(row.died), reason: String(row.reason) }
}

export type QueueStatements = ReturnType<typeof prepareQueue>

export function prepareQueue(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  return {
    transaction<T>(work: () => T): T {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        database.exec('COMMIT')
        return result
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    isKnown: sql('SELECT 1 FROM records WHERE key = ? AND expires > ?'),
    remember: sql(
      `INSERT INTO records (key, value, expires) VALUES (?, '', ?)
       ON CONFLICT (key) DO UPDATE SET expires = excluded.expires`
    ),
    add: sql('INSERT INTO queue_events (queue, lane, value, size, enqueued, attempts) VALUES (?, ?, ?, ?, ?, ?)'),
    first: sql(
      `SELECT seq, value, enqueued, attempts FROM queue_events
       WHERE queue = ? AND lane = ? AND died IS NULL ORDER BY seq LIMIT 1`
    ),
    countAttempt: sql('UPDATE queue_events SET attempts = attempts + 1 WHERE seq = ?'),
    remove: sql('DELETE FROM queue_events WHERE seq = ?'),
    bury: sql('UPDATE queue_events SET died = ?, reason = ? WHERE seq = ?'),
    forgetDead: sql(
      `DELETE FROM queue_events WHERE seq IN (
         SELECT seq FROM queue_events WHERE queue = ? AND died IS NOT NULL ORDER BY seq LIMIT ?)`
    ),
    dead: sql(
      `SELECT seq, lane, value, enqueued, died, reason FROM queue_events
       WHERE queue = ? AND died IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?`
    ),
    revive: sql(
      `UPDATE queue_events SET died = NULL, reason = NULL, attempts = 0
       WHERE queue = ? AND seq = ? AND died IS NOT NULL RETURNING lane, size`
    ),
    lane: sql('SELECT lease, due FROM queue_lanes WHERE queue = ? AND lane = ?'),
    setLane: sql(
      `INSERT INTO queue_lanes (queue, lane, due, lease) VALUES (:queue, :lane, :due, :lease)
       ON CONFLICT (queue, lane) DO UPDATE SET due = excluded.due, lease = excluded.lease`
    ),
    removeLane: sql('DELETE FROM queue_lanes WHERE queue = ? AND lane = ?'),
    due: sql(
      `SELECT lane FROM queue_lanes WHERE queue = :queue AND (due <= :now OR due > :furthest)
       ORDER BY due LIMIT :count`
    ),
    depth: sql('SELECT waiting, bytes, dead FROM queue_depths WHERE queue = ?'),
    addDepth: sql(
      `INSERT INTO queue_depths (queue, waiting, bytes, dead) VALUES (:queue, :waiting, :bytes, :dead)
       ON CONFLICT (queue) DO UPDATE SET
         waiting = waiting + excluded.waiting, bytes = bytes + excluded.bytes, dead = dead + excluded.dead`
    )
  }
}
