/** The self-test: sends the corpus to a gateway and judges the answers. */
import { randomBytes } from 'node:crypto'
import { createBackend } from './backend.ts'
import type { Case } from './case.ts'
import { get } from './corpus/placeholders.ts'
import { casesFor, createSample } from './corpus.ts'
import { FACT_REQUESTS, type Facts, findFacts } from './facts.ts'
import { expectationsOf, judge, unmetNeed, type Verdict } from './verdict.ts'
import { type Answer, type Dial, dialTo, type Exchange, exchange } from './wire.ts'

/** Upper bound of the requests of a run. */
export const MAX_REQUESTS = 2_500
const AT_A_TIME = 8
/** Milliseconds to wait for a surplus answer. */
const GRACE = 150
const LAST_LOOKS = 3

export interface SelftestOptions {
  /** Origin with http or https. */
  readonly against: URL
  /** A protected prefix, such as `/api`. */
  readonly route: string
  readonly token: string | null
  /** Milliseconds for one exchange. */
  readonly timeout: number
  /** Address on which the self-test plays the backend of the route. */
  readonly backend?: { readonly host: string; readonly port: number }
}

export interface CaseResult {
  readonly attack: Case
  readonly verdict: Verdict
  readonly answers: readonly Answer[]
  readonly isClosed: boolean
}

export interface SelftestResult {
  readonly facts: Facts
  readonly results: readonly CaseResult[]
  /** The gateway refuses as it did before the first attack. */
  readonly isAlive: boolean
  readonly requests: number
}

/** Rejects with Unsuitable when the target cannot be tested. */
export async function runSelftest(options: SelftestOptions): Promise<SelftestResult> {
  const { backend } = options
  if (backend === undefined) return run(options)
  const answers = casesFor(createSample()).flatMap(({ id, answer }) =>
    answer === undefined ? [] : [[id, answer] as const]
  )
  const { close } = await createBackend({ ...backend, answers: new Map(answers) })
  try {
    return await run(options)
  } finally {
    await close()
  }
}

async function run(options: SelftestOptions): Promise<SelftestResult> {
  const { against, timeout, token } = options
  const dial = dialTo(against)
  const route = options.route === '/' ? '/' : options.route.replace(/\/+$/, '')
  const canary = `wxgate${randomBytes(9).toString('hex')}`
  const facts = await findFacts({
    dial,
    host: against.host,
    route,
    token,
    timeout,
    canary,
    hasBackend: options.backend !== undefined
  })
  const cases = casesFor(facts.subject)
  const waiting = [...cases]
  const results = new Map<string, CaseResult>()
  let requests = FACT_REQUESTS

  async function work(): Promise<void> {
    for (let attack = waiting.shift(); attack !== undefined; attack = waiting.shift()) {
      const cost = requestsOf(attack)
      const unmet =
        unmetNeed(attack, facts) ??
        (requests + cost + LAST_LOOKS > MAX_REQUESTS ? 'not sent: the request limit was reached' : null)
      if (unmet === null) requests += cost
      results.set(attack.id, unmet === null ? await attempt(dial, attack, facts, timeout) : leaveOut(attack, unmet))
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))

  const isAlive = await isStillAlive(dial, facts, timeout)
  return { facts, results: cases.flatMap(({ id }) => results.get(id) ?? []), isAlive, requests: requests + LAST_LOOKS }
}

/** Number of requests of a run in which every case can be judged. */
export function requestsPlanned(): number {
  return casesFor(createSample()).reduce((sum, attack) => sum + requestsOf(attack), FACT_REQUESTS + LAST_LOOKS)
}

function requestsOf(attack: Case): number {
  return expectationsOf(attack).length + (attack.isFollowed ? 1 : 0)
}

/** Sends one case. */
export async function attempt(dial: Dial, attack: Case, facts: Facts, timeout: number): Promise<CaseResult> {
  const result = await exchange(dial, attack.bytes + follower(attack, facts), {
    count: requestsOf(attack),
    timeout,
    grace: attack.isFollowed ? GRACE : 0,
    bodiless: attack.isHead ? [0] : []
  })
  return toResult(attack, judge(attack, result, facts), result)
}

/** Asks for the end of the connection, so that the exchange needs no timeout to be complete. */
function follower(attack: Case, { subject }: Facts): string {
  return attack.isFollowed ? get(subject, subject.route, 'Connection: close') : ''
}

function leaveOut(attack: Case, reason: string): CaseResult {
  return { attack, verdict: { outcome: 'unknown', reason }, answers: [], isClosed: false }
}

function toResult(attack: Case, verdict: Verdict, { answers, isClosed }: Exchange): CaseResult {
  return { attack, verdict, answers, isClosed }
}

async function isStillAlive(dial: Dial, { subject, refusal }: Facts, timeout: number): Promise<boolean> {
  for (let look = 0; look < LAST_LOOKS; look++) {
    const bytes = get(subject, subject.route, 'Connection: close')
    const { answers } = await exchange(dial, bytes, { count: 1, timeout })
    if (answers[0]?.status === refusal.status) return true
  }
  return false
}
