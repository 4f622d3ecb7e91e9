/** Credentials that are no good, in all the ways that cost a gateway something different. */
import { randomBytes } from 'node:crypto'
import { getRequest } from './load.ts'

/** The dearest kind: a whole token of ours with another payload, so that its signature has to be computed. */
export const WORST = 'our header, another payload each'
const DIFFERENT = 20_000

/** Each request is another one, unless it says the same. `good` is a token that the gateway accepts. */
export function kindsOf(good: string): Readonly<Record<string, (n: number) => string | undefined>> {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const junk = Array.from({ length: DIFFERENT }, () => randomBytes(32).toString('base64url'))
  const any = (n: number): string => junk[n % junk.length] ?? ''
  return {
    'no token': () => undefined,
    'the same wrong token': () => `${header}.${payload}.${any(0)}`,
    'our header, another signature each': (n) => `${header}.${payload}.${any(n)}`,
    [WORST]: (n) => `${header}.${payload.slice(0, -43)}${any(n)}.${signature}`,
    'another algorithm': (n) => `eyJhbGciOiJub25lIn0.${payload}.${any(n)}`,
    'no JWT': any,
    '3 KiB of nothing': (n) => any(n).repeat(75)
  }
}

/** Written ahead, so that the load costs little while it runs. */
export function prepare(
  path: string,
  kind: (n: number) => string | undefined,
  count = DIFFERENT
): (n: number) => Buffer {
  const requests = Array.from({ length: count }, (_, n) => getRequest(path, kind(n)))
  return (n) => requests[n % requests.length] as Buffer
}
