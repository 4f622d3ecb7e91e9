/** Decides about an event after a call: delivered, another attempt, or dead. */
import { CallFailure, type UpstreamAnswer } from './call.ts'

/** The request that an event becomes, as the queue stores it. */
export interface Envelope {
  readonly headers: Readonly<Record<string, string>>
  readonly json: string
}

export type Verdict =
  /** `text` is the body of the upstream's answer. */
  | { readonly outcome: 'delivered'; readonly text: string }
  | { readonly outcome: 'retry'; readonly reason: string }
  | { readonly outcome: 'dead'; readonly reason: string }

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** Statuses from 400 to 499 that another attempt can change. */
const TEMPORARY: ReadonlySet<number> = new Set([408, 425, 429])

/** An answer that is too large counts by its status. */
export function verdictOf(answer: UpstreamAnswer | CallFailure, isOld: boolean): Verdict {
  const isFailure = answer instanceof CallFailure
  const status = answer.status ?? 0
  if (status >= 200 && status < 300) return { outcome: 'delivered', text: isFailure ? '' : answer.text }
  const reason = isFailure ? answer.reason : `the upstream answered ${status}`
  if (status >= 400 && status < 500 && !TEMPORARY.has(status)) return { outcome: 'dead', reason }
  return isOld
    ? { outcome: 'dead', reason: `${reason}, and too old for another attempt` }
    : { outcome: 'retry', reason }
}

/** Doubles with every attempt; random, so that lanes do not come back together. */
export function pauseAfter(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + Math.random() / 2)
}

/** Null for a text that is no envelope. */
export function readEnvelope(text: string): Envelope | null {
  try {
    const { headers, json } = JSON.parse(text) as Partial<Envelope>
    return typeof headers === 'object' && typeof json === 'string' ? { headers, json } : null
  } catch {
    return null
  }
}
