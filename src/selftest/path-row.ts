/** A row of family P as it is written down: targets of GET requests without a token. */
import { get, type Refused, type Row, refused } from './case.ts'

export const STATUSES = [400, 401, 403, 404]
/** Refused for what it is. */
export const UNREADABLE = refused(STATUSES, ['bad_path', 'invalid_request'])
/** Refused for what it is, or asked for a token like the path that it may stand for. */
export const GUARDED = refused(STATUSES, ['bad_path', 'invalid_request', 'token_missing', 'no_route'])

export interface PathRow {
  readonly id: string
  readonly rule: string
  /** UNREADABLE unless told. */
  readonly expected?: Refused
  readonly sources?: readonly string[]
  /** @param name The protected prefix without its first slash. */
  readonly targets: (route: string, name: string) => readonly string[]
}

export function pathRow({ id, rule, expected = UNREADABLE, sources = [], targets }: PathRow): Row {
  return {
    id,
    family: 'paths',
    rule,
    expected,
    sources,
    attacks: (subject) =>
      targets(subject.route, subject.route.slice(1)).map((target) => ({ bytes: get(subject, target) }))
  }
}
