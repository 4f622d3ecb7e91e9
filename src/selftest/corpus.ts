/** The attack corpus: every row, and the cases for one target. */
import type { Case, Row, Subject } from './case.ts'
import { ANSWER_BODIES } from './corpus/answer-bodies.ts'
import { toAnswerRow } from './corpus/answer-row.ts'
import { ANSWER_HEADS } from './corpus/answers.ts'
import { BODIES } from './corpus/bodies.ts'
import { CHUNKS } from './corpus/chunks.ts'
import { FORGERIES } from './corpus/forgeries.ts'
import { createStrangers, toPem } from './corpus/forgery.ts'
import { FRAMING } from './corpus/framing.ts'
import { HEADER_LINES } from './corpus/header-lines.ts'
import { HEADERS } from './corpus/headers.ts'
import { PATHS } from './corpus/paths.ts'
import { TARGETS } from './corpus/targets.ts'
import { TOKENS } from './corpus/tokens.ts'

export const ROWS: readonly Row[] = [
  ...PATHS,
  ...TARGETS,
  ...HEADERS,
  ...HEADER_LINES,
  ...FRAMING,
  ...BODIES,
  ...CHUNKS,
  ...FORGERIES,
  ...TOKENS,
  ...[...ANSWER_HEADS, ...ANSWER_BODIES].map(toAnswerRow)
]

/** A harmless request follows where a case can put the connection out of step. */
export function casesFor(subject: Subject): Case[] {
  return ROWS.flatMap((row) =>
    row.attacks(subject).map((attack, index) => ({
      isFollowed: row.family !== 'tokens' && attack.needs !== 'echo' && !attack.bytes.includes('{end}'),
      ...attack,
      id: `${row.id}.${index + 1}`,
      row
    }))
  )
}

/** A target for counting cases, and the defaults of a real one. */
export function createSample(): Subject {
  const strangers = createStrangers()
  return {
    host: 'gateway.example',
    route: '/admin',
    token: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1X3NhbXBsZSJ9.${'A'.repeat(43)}`,
    publicKey: toPem(strangers.ec.publicKey),
    canary: 'wxgateSelftestCanary',
    strangers
  }
}
