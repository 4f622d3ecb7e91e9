/** Family J, continued: variants of a real token, and other places for it. */
import { type Attack, type Row, refused, SERVED, type Subject } from '../case.ts'
import { contentOf, token } from './forgery.ts'
import { get } from './placeholders.ts'
import { toRow } from './row-text.ts'

const REFUSED = refused([400, 401, 403, 431], ['token_invalid'], { mayClose: false })
const UNREAD = refused([400, 401, 403], ['token_invalid', 'token_missing', 'bad_header'], { mayClose: false })

/** Variants of the real token. */
function bent(
  id: string,
  rule: string,
  sources: readonly string[],
  variants: (real: string) => readonly string[]
): Row {
  return {
    id,
    family: 'tokens',
    rule,
    expected: REFUSED,
    sources,
    attacks: (subject) =>
      variants(subject.token).map((text) => ({
        bytes: get(subject, subject.route, `Authorization: Bearer ${text}`),
        needs: 'token'
      }))
  }
}

/** Each text as the value of Authorization. */
function written(subject: Subject, values: readonly string[], rest: Partial<Attack>): Attack[] {
  return values.map((value) => ({ bytes: get(subject, subject.route, `Authorization: ${value}`), ...rest }))
}

export const TOKENS: readonly Row[] = [
  bent('J16', 'one token has one spelling', ['RFC 4648, 3.5'], (real) => {
    const { header, payload, signature } = partsOf(real)
    return [
      `${header}.${payload}.${otherBits(signature)}`,
      `${header}.${otherBits(payload)}.${signature}`,
      `${otherBits(header)}.${payload}.${signature}`,
      `${header}.${payload}.${signature}A`,
      `${header}.${payload}.${signature}=`,
      `${header}.${payload}.${signature}==`,
      `${header}.${payload}.${signature}%3D`
    ]
  }),
  bent('J17', 'every bit of a token counts', ['CVE-2022-21449 (Java)'], (real) => {
    const { header, payload, signature } = partsOf(real)
    const half = signature.length >> 1
    return [
      `${header}.${payload}.${signature.slice(0, -1)}`,
      `${header}.${payload}.${signature.slice(0, half)}`,
      `${header}.${payload}.${signature.slice(half)}${signature.slice(0, half)}`,
      `${header}.${payload}.${'A'.repeat(signature.length)}`,
      `${header}.${payload}.A`,
      `${header}.${payload}.${signature.split('').reverse().join('')}`,
      `${header}.${payload}.${changed(signature, 3)}`,
      `${header}.${changed(payload, 9)}.${signature}`,
      `${changed(header, 9)}.${payload}.${signature}`,
      `${header}.${Buffer.from(`${decoded(payload)} `).toString('base64url')}.${signature}`,
      `${Buffer.from(` ${decoded(header)}`).toString('base64url')}.${payload}.${signature}`,
      `${header}.${signature}.${payload}`,
      real.toLowerCase(),
      real.toUpperCase()
    ]
  }),
  bent('J18', 'a token has three parts', ['RFC 7515, 7.1'], (real) => {
    const { header, payload, signature } = partsOf(real)
    return [
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      `${real}.`,
      `.${real}`,
      `${real}.x`,
      `${real}.${real}`,
      `${header}.${header}.${payload}.${signature}`,
      real.replace('.', '..'),
      real.replace('.', ' .')
    ]
  }),
  {
    id: 'J22',
    family: 'tokens',
    rule: 'a token that is too long is refused before it is read',
    expected: refused([400, 401, 403, 413, 414, 431], ['token_invalid', 'headers_too_large', 'uri_too_long']),
    sources: ['RFC 6585, 5'],
    attacks: (subject) => {
      const { header, payload } = contentOf(subject.token)
      return [4_200, 9_000, 12_000, 20_000, 60_000].flatMap((length) =>
        written(
          subject,
          [`Bearer ${token(header, { ...payload, pad: 'a'.repeat(length * 0.75) }, 'A'.repeat(43))}`],
          {}
        )
      )
    }
  },
  {
    id: 'J23',
    family: 'tokens',
    rule: 'a credential is "Bearer" and one token',
    expected: UNREAD,
    sources: ['RFC 6750, 2.1'],
    attacks: (subject) => {
      const { token: real } = subject
      return [
        ...written(
          subject,
          ['Bearer', 'Bearer ', 'bearer', '', 'Basic YWRtaW46YWRtaW4=', 'Negotiate x', 'Bearer x'],
          {}
        ),
        ...written(
          subject,
          [
            real,
            `Bearer\t${real}`,
            `Bearer, ${real}`,
            `Bearer ${real},`,
            `Bearer ${real}, Bearer ${real}`,
            `Bearer Bearer ${real}`,
            `Basic ${real}`,
            `Token ${real}`,
            `Bearer "${real}"`,
            `Bearer token=${real}`
          ],
          { needs: 'token' }
        )
      ]
    }
  },
  toRow({
    id: 'J24',
    family: 'tokens',
    rule: 'a token counts in Authorization only',
    expected: refused([400, 401, 403], ['token_missing'], { mayClose: false }),
    sources: ['RFC 6750, 5.3'],
    needs: 'token',
    cases: [
      'GET {route}?access_token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n',
      'GET {route}?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n',
      '{GET}Cookie: access_token={token}\r\n\r\n',
      '{GET}Cookie: token={token}\r\n\r\n',
      '{GET}Proxy-Authorization: Bearer {token}\r\n\r\n',
      '{GET}X-Authorization: Bearer {token}\r\n\r\n',
      '{GET}X-Access-Token: {token}\r\n\r\n',
      '{GET}Authorization_: Bearer {token}\r\n\r\n',
      '{GET}Sec-WebSocket-Protocol: bearer, {token}\r\n\r\n'
    ]
  }),
  toRow({
    id: 'J29',
    family: 'tokens',
    rule: 'the real token is served, also with its scheme in other letters (RFC 9110, 11.1)',
    expected: SERVED,
    sources: ['RFC 9110, 11.1'],
    needs: 'token',
    before: '{GET}Authorization: ',
    after: ' {token}\r\n\r\n',
    cases: 'Bearer bearer BEARER bEaReR'
  })
]

function partsOf(real: string): { header: string; payload: string; signature: string } {
  const [header = '', payload = '', signature = ''] = real.split('.')
  return { header, payload, signature }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Changes the last bit of the last letter: base64 may decode to the same bytes. */
function otherBits(text: string): string {
  return changed(text, text.length - 1)
}

/** Changes the last bit of the letter at `index`. */
function changed(text: string, index: number): string {
  const place = Math.max(0, Math.min(index, text.length - 1))
  const letter = ALPHABET[ALPHABET.indexOf(text.charAt(place)) ^ 1] ?? 'A'
  return text.slice(0, place) + letter + text.slice(place + 1)
}

function decoded(segment: string): string {
  return Buffer.from(segment, 'base64url').toString('utf8')
}
