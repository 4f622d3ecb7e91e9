/** Types of the attack corpus: bytes to send, and the answers that are acceptable. */
import type { ErrorCode } from '../errors.ts'
import type { Strangers } from './corpus/forgery.ts'

export const FAMILIES = ['paths', 'headers', 'framing', 'tokens', 'answers'] as const
export type Family = (typeof FAMILIES)[number]

/** Public test suites whose requests the corpus covers, with the letters that mark their cases. */
export const SUITES = { P: 'Http11Probe', S: 'h1spec', G: 'HTTP Garden' } as const
export type Suite = (typeof SUITES)[keyof typeof SUITES]

/** Target of a run. */
export interface Subject {
  /** For the Host header. */
  readonly host: string
  /** Protected prefix without a trailing slash, or `/`. */
  readonly route: string
  /** Access token of the gateway; a token of the same shape without one. */
  readonly token: string
  /** PEM of a public key: the key that the gateway publishes, else a generated one. */
  readonly publicKey: string
  /** Random word. An answer that holds it proves that the upstream received it. */
  readonly canary: string
  /** Keys that the gateway does not know. */
  readonly strangers: Strangers
}

/** One of these answers, or a closed connection where `mayClose` is set. */
export interface Refused {
  readonly kind: 'refused'
  readonly statuses: readonly number[]
  /** Codes of wxgate; empty where the answer carries no problem body. */
  readonly codes: readonly ErrorCode[]
  readonly mayClose: boolean
  /** The connection must end: the start of the next request is unknown. */
  readonly mustClose: boolean
}

/** The answer to the plain request with the same token. */
export interface Served {
  readonly kind: 'served'
  /** Neither the canary nor the token reached the upstream. Needs an upstream that echoes its
   *  request. */
  readonly isHidden: boolean
  /** Text that an upstream which echoes bodies must have received. */
  readonly echoes: string
  /** Refusals that are also acceptable. */
  readonly orStatuses: readonly number[]
}

/** The unchanged answer of the backend, or 502 instead. */
export interface Relayed {
  readonly kind: 'relayed'
  /** Statuses that may be passed on; empty when the answer must not be. */
  readonly statuses: readonly number[]
  readonly body: string
  /** Header lines that must be passed on: lower-case name, `: `, value. */
  readonly keeps: readonly string[]
  /** 502 is acceptable. */
  readonly isRefusable: boolean
  /** An answer that ends with the connection before it is whole is acceptable. */
  readonly isBreakable: boolean
}

export type Expected = Refused | Served | Relayed

/** `token`: a real token. `echo`: also an upstream that echoes the headers it received.
 *  `backend`: also, that upstream is the backend of the self-test. */
export type Need = 'token' | 'echo' | 'backend'

export interface Attack {
  /** Latin-1: one character is one byte. `{pause}` separates two writes, `{end}` closes the
   *  sending side. */
  readonly bytes: string
  /** One per request in the bytes; default: the row's, once. */
  readonly expected?: readonly Expected[]
  readonly needs?: Need
  /** True when a harmless request follows on the same connection. */
  readonly isFollowed?: boolean
  /** The answer to HEAD has no body. */
  readonly isHead?: boolean
  readonly suites?: readonly Suite[]
  /** Bytes that the backend answers to the first request. */
  readonly answer?: string
}

/** Attacks of one kind. */
export interface Row {
  /** A letter for the family and a number. */
  readonly id: string
  readonly family: Family
  readonly rule: string
  readonly expected: Expected
  /** RFC sections, advisories and reports. */
  readonly sources: readonly string[]
  /** Returns the same number of attacks for every subject. */
  attacks(subject: Subject): readonly Attack[]
}

export interface Case extends Attack {
  /** Row and place within it, such as `P01.2`. */
  readonly id: string
  readonly row: Row
}

export function refused(
  statuses: readonly number[],
  codes: readonly ErrorCode[],
  options: { mayClose?: boolean; mustClose?: boolean } = {}
): Refused {
  const { mayClose = true, mustClose = false } = options
  return { kind: 'refused', statuses, codes, mayClose, mustClose }
}

export function served(options: Partial<Omit<Served, 'kind'>> = {}): Served {
  return { kind: 'served', isHidden: false, echoes: '', orStatuses: [], ...options }
}

export function relayed(
  statuses: readonly number[],
  options: Partial<Omit<Relayed, 'kind' | 'statuses'>> = {}
): Relayed {
  return { kind: 'relayed', statuses, body: 'fine', keeps: [], isRefusable: false, isBreakable: false, ...options }
}

export const SERVED = served()
export const HIDDEN = served({ isHidden: true })

/** 401 for a missing token and for no other reason. */
export const NO_TOKEN = refused([401, 403], ['token_missing'], { mayClose: false })

/** 5xx that refuse a request: 501 (RFC 9112, section 6.1) and 505. */
export const REFUSING_5XX: ReadonlySet<number> = new Set([501, 505])
