/** Rows of family U: each case is an answer of the backend of the self-test. */
import { type Relayed, type Row, relayed, served } from '../case.ts'
import { fill } from './placeholders.ts'
import { type RowText, toRow } from './row-text.ts'

/** Request header that names the answer to give. */
export const ANSWER_HEADER = 'x-wxgate-answer'
export const REFUSED = relayed([], { isRefusable: true })
export const FINE_END = 'Content-Length: 4\r\n\r\nfine'

export type AnswerRow = Omit<RowText, 'family' | 'expected'> & { readonly expected: Relayed }

/** Two requests for an echo follow on the connection: the fault must not spread to them. */
export function toAnswerRow(text: AnswerRow): Row {
  const { attacks, ...row } = toRow({ family: 'answers', needs: 'backend', isFollowed: false, ...text })
  return {
    ...row,
    attacks: (subject) => {
      const echoed = served({ echoes: subject.canary })
      const own = '{GET}{auth}X-Wxgate-Selftest: {canary}\r\n'
      return attacks(subject).map(({ bytes, ...attack }, index) => ({
        ...attack,
        answer: bytes,
        bytes: fill(
          `{GET}{auth}${ANSWER_HEADER}: ${row.id}.${index + 1}\r\n\r\n${own}\r\n${own}Connection: close\r\n\r\n`,
          subject
        ),
        expected: [text.expected, echoed, echoed]
      }))
    }
  }
}
