/** Family J, further: what a token may be bent into, and where else it may be put. */
import { type Attack, get, type Row, refused, SERVED, type Subject } from './case.ts'
import { bearer } from './corpus-headers.ts'
import { contentOf, token } from './forgery.ts'

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

/** Authorization as it is written. */
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
    rule: 'a token that is too long is refused before anything is made of it',
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
  {
    id: 'J24',
    family: 'tokens',
    rule: 'a token counts in Authorization, and nowhere else',
    expected: refused([400, 401, 403], ['token_missing'], { mayClose: false }),
    sources: ['RFC 6750, 5.3'],
    attacks: (subject) => {
      const { route, token: real } = subject
      return [
        get(subject, `${route}?access_token=${real}`),
        get(subject, `${route}?token=${real}`),
        get(subject, route, `Cookie: access_token=${real}`),
        get(subject, route, `Cookie: token=${real}`),
        get(subject, route, `Proxy-Authorization: Bearer ${real}`),
        get(subject, route, `X-Authorization: Bearer ${real}`),
        get(subject, route, `X-Access-Token: ${real}`),
        get(subject, route, `Authorization_: Bearer ${real}`)
      ].map((bytes) => ({ bytes, needs: 'token' as const }))
    }
  },
  {
    id: 'J29',
    family: 'tokens',
    rule: 'the real token is served, also with its scheme in other letters (RFC 9110, 11.1)',
    expected: SERVED,
    sources: [],
    attacks: (subject) => [
      { bytes: get(subject, subject.route, bearer(subject)), needs: 'token' },
      ...written(subject, [`bearer ${subject.token}`, `BEARER ${subject.token}`], { needs: 'token' })
    ]
  }
]
function partsOf(real: string): { header: string; payload: string; signature: string } {
  const [header = '', payload = '', signature = ''] = real.split('.')
  return { header, payload, signature }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The same bytes in other letters where the last one has bits to spare; another letter where it has none. */
function otherBits(text: string): string {
  return changed(text, text.length - 1)
}

/** Another letter at one place, which differs from the one before in its last bit. */
function changed(text: string, index: number): string {
  const place = Math.max(0, Math.min(index, text.length - 1))
  const letter = ALPHABET[ALPHABET.indexOf(text.charAt(place)) ^ 1] ?? 'A'
  return text.slice(0, place) + letter + text.slice(place + 1)
}

function decoded(segment: string): string {
  return Buffer.from(segment, 'base64url').toString('utf8')
}
