/** Every attack that `wxgate selftest` knows. */
import type { Case, Family, Row, Subject } from './case.ts'
import { FORGERIES } from './corpus-forgeries.ts'
import { FRAMING } from './corpus-framing.ts'
import { HEADER_LINES } from './corpus-header-lines.ts'
import { HEADERS } from './corpus-headers.ts'
import { PATHS } from './corpus-paths.ts'
import { TARGETS } from './corpus-targets.ts'
import { TOKENS } from './corpus-tokens.ts'
import { STRANGERS_PEM } from './forgery.ts'

export const FAMILIES: readonly Family[] = ['paths', 'headers', 'framing', 'tokens']

export const ROWS: readonly Row[] = [
  ...PATHS,
  ...TARGETS,
  ...HEADERS,
  ...HEADER_LINES,
  ...FRAMING,
  ...FORGERIES,
  ...TOKENS
]

/** Where neither the head nor the length of a request is in doubt, none follows on the connection, unless told. */
export function casesFor(subject: Subject): Case[] {
  return ROWS.flatMap((row) =>
    row.attacks(subject).map((attack, index) => ({
      isFollowed: row.family !== 'tokens' && attack.needs !== 'echo',
      ...attack,
      id: `${row.id}.${index + 1}`,
      row
    }))
  )
}

/** For counting, and for making up what was not given. */
export const SAMPLE: Subject = {
  host: 'gateway.example',
  route: '/admin',
  token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1X3NhbXBsZSJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  publicKey: STRANGERS_PEM,
  canary: 'wxgateSelftestCanary'
}
