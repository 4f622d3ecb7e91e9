/** The interface of a fuzzer: inputs, and a check that must hold for each of them. */
import fc from 'fast-check'

export interface Fuzzer<Input = unknown> {
  readonly name: string
  /** Plain data: a finding is written as JSON. */
  readonly inputs: fc.Arbitrary<Input>
  /** The broken rule; null when all hold. A throw is a finding too. */
  check(input: Input): Promise<string | null> | string | null
}

/** Runs at the end, as with tap's `t`. */
export interface Scope {
  teardown(fn: () => unknown): void
}

/** A change to a text: an insertion, removal, repetition or replacement. */
export interface Edit {
  /** Position in the text, 0 to 1. */
  readonly at: number
  /** Characters removed there. */
  readonly cut: number
  readonly put: string
}

export function edits(scraps: readonly string[], maxLength = 6): fc.Arbitrary<Edit[]> {
  const put = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...scraps) },
    { weight: 2, arbitrary: byte().map((code) => String.fromCharCode(code)) },
    { weight: 1, arbitrary: fc.constant('') }
  )
  const cut = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(12) })
  const at = fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true })
  return fc.array(fc.record({ at, cut, put }), { maxLength })
}

export function byte(): fc.Arbitrary<number> {
  return fc.nat(255)
}

export function apply(text: string, changes: readonly Edit[]): string {
  let result = text
  for (const { at, cut, put } of changes) {
    const index = Math.min(result.length, Math.floor(at * (result.length + 1)))
    result = result.slice(0, index) + put + result.slice(index + cut)
  }
  return result
}

/** Latin-1: one character, one byte. */
export function bytes(maxLength: number): fc.Arbitrary<string> {
  return fc.array(byte(), { maxLength }).map((codes) => String.fromCharCode(...codes))
}

/** True when `text` holds any piece of `secret` of this length. */
export function leaks(text: string, secret: string, length = 12): boolean {
  for (let at = 0; at + length <= secret.length; at++) if (text.includes(secret.slice(at, at + length))) return true
  return false
}
