/** Resolves names without getaddrinfo, whose four threads one dead name can block for all
 *  others. Reads the hosts file, asks the name servers, and keeps answers for their time to
 *  live. */
import type { LookupAddress, LookupOptions } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { Clock, Timer } from '../clock.ts'
import { candidatesOf, readHosts, readSearchRules } from './hosts-file.ts'

/** Time for one query to a name server, and the number of queries. */
const QUESTION_MS = 2_000
const TRIES = 2
/** RFC 8305, section 3: wait for the other family once one has an answer. */
const OTHER_FAMILY_MS = 50
/** Shortest time that an answer is kept, and the time that entries of the hosts file are kept. */
const MIN_TTL_MS = 1_000
/** A name that could not be resolved is queried again after this time. */
const FAILED_TTL_MS = 1_000
/** An expired answer is used for this long while there is no newer one. */
const STALE_MS = 300_000
const NOT_FOUND = 'ENOTFOUND'

const HOSTS_FILE =
  process.platform === 'win32'
    ? `${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
    : '/etc/hosts'

export interface ResolverOptions {
  readonly clock: Clock
  readonly hostsFile?: string
  readonly resolvFile?: string
  /** Name servers instead of those of the machine, such as 127.0.0.1:53. */
  readonly servers?: readonly string[]
}

interface Answer {
  readonly addresses: readonly LookupAddress[]
  readonly ttlMs: number
}

interface Entry {
  addresses: readonly LookupAddress[]
  error: NodeJS.ErrnoException | null
  /** Monotonic milliseconds: end of use of the addresses. */
  usableUntil: number
  /** Monotonic milliseconds: time of the next query. */
  askAt: number
  /** Callers of the current query; null without one. */
  waiting: (() => void)[] | null
}

/** For the `lookup` option of sockets. A name has at most one query at a time. */
export function createLookup(options: ResolverOptions): LookupFunction {
  const { clock } = options
  const ask = createQuestions(options)
  const entries = new Map<string, Entry>()

  function entryOf(name: string): Entry {
    const known = entries.get(name)
    if (known) return known
    const entry = { addresses: [], error: null, usableUntil: 0, askAt: 0, waiting: null }
    entries.set(name, entry)
    return entry
  }

  function refresh(name: string, entry: Entry): (() => void)[] {
    const waiting: (() => void)[] = []
    entry.waiting = waiting
    const settle = (ttlMs: number) => {
      entry.askAt = clock.monotonic() + ttlMs
      entry.waiting = null
      for (const wake of waiting) wake()
    }
    ask(name).then(
      ({ addresses, ttlMs }) => {
        entry.addresses = addresses
        entry.error = null
        entry.usableUntil = clock.monotonic() + ttlMs + STALE_MS
        settle(ttlMs)
      },
      (error: NodeJS.ErrnoException) => {
        entry.error = error
        // The name no longer exists, and its address may soon belong to another host. Silent
        // servers prove nothing.
        if (error.code === NOT_FOUND) entry.addresses = []
        settle(FAILED_TTL_MS)
      }
    )
    return waiting
  }

  return (hostname, lookupOptions, callback) => {
    const name = hostname.toLowerCase()
    const family = isIP(name)
    if (family !== 0) {
      process.nextTick(answerWith, [{ address: name, family }], null, lookupOptions, callback)
      return
    }
    const entry = entryOf(name)
    const now = clock.monotonic()
    if (now >= entry.usableUntil) entry.addresses = []
    const answer = () => answerWith(entry.addresses, entry.error, lookupOptions, callback)
    const waiting = now < entry.askAt ? null : (entry.waiting ?? refresh(name, entry))
    // The old address serves until a new one arrives.
    if (waiting === null || entry.addresses.length > 0) process.nextTick(answer)
    else waiting.push(answer)
  }
}

function answerWith(
  addresses: readonly LookupAddress[],
  error: NodeJS.ErrnoException | null,
  { all, family }: LookupOptions,
  callback: Parameters<LookupFunction>[2]
): void {
  const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0
  const fitting = wanted === 0 ? addresses : addresses.filter((one) => one.family === wanted)
  const [first] = fitting
  if (first === undefined) callback(error ?? failure(NOT_FOUND), all ? [] : '')
  else if (all) callback(null, [...fitting])
  else callback(null, first.address, first.family)
}

/** The hosts file, then the name servers, by the search rules of the machine. Both files are
 *  read for every query, since they may change. */
function createQuestions({
  clock,
  hostsFile = HOSTS_FILE,
  resolvFile = '/etc/resolv.conf',
  servers
}: ResolverOptions): (name: string) => Promise<Answer> {
  let rulesText = ''
  let resolver = createResolver()

  function createResolver(): Resolver {
    const created = new Resolver({ timeout: QUESTION_MS, tries: TRIES })
    if (servers) created.setServers(servers)
    return created
  }

  async function ofFamily(name: string, family: 4 | 6): Promise<Answer> {
    const records = await (family === 4
      ? resolver.resolve4(name, { ttl: true })
      : resolver.resolve6(name, { ttl: true }))
    const ttlMs = Math.max(MIN_TTL_MS, Math.min(...records.map(({ ttl }) => ttl)) * 1_000)
    return { addresses: records.map(({ address }) => ({ address, family })), ttlMs }
  }

  /** Addresses of both families, IPv4 first; of one when the other is late or has none. */
  async function bothFamilies(name: string): Promise<Answer> {
    const answers: Answer[] = []
    const codes: string[] = []
    let timer: Timer | undefined
    await new Promise<void>((resolve) => {
      const settled = () => {
        if (answers.length + codes.length === 2) resolve()
        else if (answers.length > 0) timer = clock.setTimeout(resolve, OTHER_FAMILY_MS)
      }
      for (const family of [4, 6] as const) {
        ofFamily(name, family).then(
          (answer) => {
            answers.push(answer)
            settled()
          },
          (error: unknown) => {
            codes.push(codeOf(error))
            settled()
          }
        )
      }
    })
    clock.clearTimeout(timer)
    if (answers.length === 0) throw failure(codes.find((code) => code !== NOT_FOUND) ?? NOT_FOUND)
    const addresses = answers.flatMap((answer) => answer.addresses).sort((a, b) => a.family - b.family)
    return { addresses, ttlMs: Math.min(...answers.map(({ ttlMs }) => ttlMs)) }
  }

  return async (name) => {
    const [hostsText, newRulesText] = await Promise.all([readText(hostsFile), readText(resolvFile)])
    const listed = readHosts(hostsText).get(name) ?? (isLocalhost(name) ? ['127.0.0.1', '::1'] : [])
    const addresses = listed.map((address) => ({ address, family: isIP(address) })).filter(({ family }) => family !== 0)
    if (addresses.length > 0) return { addresses, ttlMs: MIN_TTL_MS }
    if (newRulesText !== rulesText) {
      rulesText = newRulesText
      resolver = createResolver()
    }
    let error = failure(NOT_FOUND)
    for (const candidate of candidatesOf(name, readSearchRules(rulesText))) {
      try {
        return await bothFamilies(candidate)
      } catch (cause) {
        error = failure(codeOf(cause))
        // Silent servers would be waited for again.
        if (error.code === 'ETIMEOUT') break
      }
    }
    throw error
  }
}

/** RFC 6761, section 6.3. */
function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '')
}

/** ENODATA: the name exists but has no address of this family. */
function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : NOT_FOUND
  return typeof code === 'string' && code !== 'ENODATA' ? code : NOT_FOUND
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`the name could not be resolved: ${code}`), { code })
}
