/** What an attack of the self-test is: bytes, and what may be answered to them. */
import type { ErrorCode } from '../errors.ts'

export type Family = 'paths' | 'headers' | 'framing' | 'tokens'

/** What the bytes are made for. */
export interface Subject {
  /** For the Host header. */
  readonly host: string
  /** The protected prefix; without a slash at its end, unless it is `/`. */
  readonly route: string
  /** A real access token, or a made-up one of the same shape where none was given. */
  readonly token: string
  /** PEM of a public key: the target's own where it publishes one. */
  readonly publicKey: string
  /** A word that nothing else contains. An answer that holds it shows that a header came through. */
  readonly canary: string
}

/** No success without a token: one of these answers, or an end of the connection where that is fair. */
export interface Refused {
  readonly kind: 'refused'
  readonly statuses: readonly number[]
  /** What wxgate says; empty where Node's HTTP server answers for it. */
  readonly codes: readonly ErrorCode[]
  readonly mayClose: boolean
  /** After this the connection has no trustworthy beginning of a next request. */
  readonly mustClose: boolean
}

/** As the plain request with the same token is answered. */
export interface Served {
  readonly kind: 'served'
  /** The upstream received neither the canary nor the token. Only an upstream that echoes its request can tell. */
  readonly isHidden: boolean
}

export type Expected = Refused | Served

export interface Attack {
  /** Latin-1: one character, one byte. */
  readonly bytes: string
  /** One for each request in the bytes; the row's, once, unless told. */
  readonly expected?: readonly Expected[]
  /** `token`: only with a real token. `echo`: only where besides the upstream echoes the headers it received. */
  readonly needs?: 'token' | 'echo'
  /** Whether a harmless request follows on the same connection. */
  readonly isFollowed?: boolean
  /** The answer to HEAD has no body. */
  readonly isHead?: boolean
}

/** Attacks of one kind. */
export interface Row {
  /** A letter for the family and a number. */
  readonly id: string
  readonly family: Family
  /** What a good gateway does. */
  readonly rule: string
  readonly expected: Expected
  /** Advisories, and reports by name. */
  readonly sources: readonly string[]
  /** As many for one subject as for any other. */
  attacks(subject: Subject): readonly Attack[]
}

export interface Case extends Attack {
  /** Such as `P01.2`: row and place within it. */
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

export const SERVED: Served = { kind: 'served', isHidden: false }
export const HIDDEN: Served = { kind: 'served', isHidden: true }

/** 401 for want of a token, and nothing else to complain of. */
export const NO_TOKEN = refused([401, 403], ['token_missing'], { mayClose: false })

/** What 501 (RFC 9112, section 6.1) and 505 are to framing: answers in order, though of the fifth hundred. */
export const FAIR_5XX: ReadonlySet<number> = new Set([501, 505])

/** A request as its lines; CRLF and the empty line are added. */
export function request(line: string, lines: readonly string[], body = ''): string {
  return `${[line, ...lines].join('\r\n')}\r\n\r\n${body}`
}

/** GET of a target over HTTP/1.1. */
export function get({ host }: Subject, target: string, ...lines: string[]): string {
  return request(`GET ${target} HTTP/1.1`, [`Host: ${host}`, ...lines])
}

/** A path below the protected prefix. */
export function below(route: string, rest: string): string {
  return route === '/' ? `/${rest}` : `${route}/${rest}`
}

/** UTF-8 bytes as latin-1 text. */
export function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
