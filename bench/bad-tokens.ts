/** Invalid credentials of every kind whose refusal has a different cost. */
import { randomBytes } from 'node:crypto'
import { getRequest } from './load.ts'

/** The most expensive kind: a valid header with another payload each, so that the signature
 *  must be computed. */
export const WORST = 'valid header, another payload each'
const DIFFERENT = 20_000

/** Each request carries another credential, except in kinds named "the same". `good` is an
 *  accepted token. */
export function kindsOf(good: string): Readonly<Record<string, (n: number) => string | undefined>> {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const junk = Array.from({ length: DIFFERENT }, () => randomBytes(32).toString('base64url'))
  const any = (n: number): string => junk[n % junk.length] ?? ''
  return {
    'no token': () => undefined,
    'the same wrong token': () => `${header}.${payload}.${any(0)}`,
    'valid header, another signature each': (n) => `${header}.${payload}.${any(n)}`,
    [WORST]: (n) => `${header}.${payload.slice(0, -43)}${any(n)}.${signature}`,
    'another algorithm': (n) => `eyJhbGciOiJub25lIn0.${payload}.${any(n)}`,
    'no JWT': any,
    '3 KiB of random text': (n) => any(n).repeat(75)
  }
}

/** Built in advance, so that the load itself costs little. */
export function prepare(
  path: string,
  kind: (n: number) => string | undefined,
  count = DIFFERENT
): (n: number) => Buffer {
  const requests = Array.from({ length: count }, (_, n) => getRequest(path, kind(n)))
  return (n) => requests[n % requests.length] as Buffer
}
