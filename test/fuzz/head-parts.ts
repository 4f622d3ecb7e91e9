/** Parts of heads that the fuzzers of requests and of responses share. */
import fc from 'fast-check'

/** Ends of lines, control bytes and separators. */
export const SEPARATORS = [
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  '\n\r',
  '\r\n\r\n',
  '\r\n ',
  '\r\n\t',
  '\0',
  '\x01',
  '\x0b',
  '\x0c',
  '\x7f',
  '\x80',
  '\xa0',
  '\xff',
  ' ',
  '\t',
  ':',
  ' :',
  ',',
  '"',
  '\\',
  '_',
  '0',
  '4'
]

export const pick = (list: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...list)

/** A line of a head, with each way to write the colon. */
export const fieldLine = ([name, value]: readonly [string, string]): fc.Arbitrary<string> =>
  pick([': ', ':', ':\t']).map((colon) => `${name}${colon}${value}\r\n`)
