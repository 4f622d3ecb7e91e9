/** WeChat's published test vectors, by id. */
import { readFileSync } from 'node:fs'

type Texts = Readonly<Record<string, string>>

interface Vector {
  readonly id: string
  readonly input: Texts
  readonly expected: Texts
}

const file = new URL('./fixtures/wechat-vectors.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] }

/** The named field of a vector; a missing one is a mistake of the test. */
export function vector(id: string, part: 'input' | 'expected', field: string): string {
  const value = vectors.find((candidate) => candidate.id === id)?.[part][field]
  if (value === undefined) throw new Error(`no ${part}.${field} in vector ${id}`)
  return value
}
