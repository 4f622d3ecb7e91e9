/** Family J: access tokens that the gateway did not issue, made without its key. */
import { createPublicKey } from 'node:crypto'
import { type Row, refused, type Subject } from '../case.ts'
import { contentOf, hmacToken, type Members, strangersToken, token } from './forgery.ts'
import { get } from './placeholders.ts'

const REFUSED = refused([400, 401, 403, 431], ['token_invalid'], { mayClose: false })
/** Base64url of 32 bytes. */
const JUNK = 'A'.repeat(43)

/** Each token as the Bearer of a plain request. */
function forged(
  id: string,
  rule: string,
  sources: readonly string[],
  tokens: (header: Members, payload: Members, subject: Subject) => readonly string[]
): Row {
  return {
    id,
    family: 'tokens',
    rule,
    expected: REFUSED,
    sources,
    attacks(subject) {
      const { header, payload } = contentOf(subject.token)
      return tokens(header, payload, subject).map((text) => ({
        bytes: get(subject, subject.route, `Authorization: Bearer ${text}`)
      }))
    }
  }
}

export const FORGERIES: readonly Row[] = [
  forged('J01', 'a token without a signature is refused', ['CVE-2015-9235 (jsonwebtoken)'], (header, payload) => {
    const algorithms = ['none', 'None', 'nOnE', 'NONE', '', undefined, null, ['none'], 'hs256', 'HS256 ']
    return algorithms.flatMap((alg) => [
      token({ ...header, alg }, payload),
      token({ alg, typ: 'JWT' }, payload, alg === 'none' ? JUNK : '')
    ])
  }),
  forged('J02', 'a guessable key is not the key', ['RFC 8725, 3.5'], (header, payload) =>
    ['', 'secret', 'wxgate', 'changeme', 'your-256-bit-secret', '\0'.repeat(32), 'test'].flatMap((key) => [
      hmacToken({ ...header, alg: 'HS256' }, payload, key),
      hmacToken({ ...header, alg: 'HS512' }, payload, key)
    ])
  ),
  forged(
    'J03',
    'a public key is not a secret',
    [
      'CVE-2023-48223 (fast-jwt)',
      'CVE-2026-34950 (fast-jwt)',
      'GHSA-ww5h-9m49-7xx4 (fast-jwt)',
      'CVE-2016-5431 (jose-php)'
    ],
    (header, payload, { publicKey }) => {
      const key = createPublicKey(publicKey)
      const der = key.export({ format: 'der', type: 'spki' })
      const jwk = JSON.stringify(key.export({ format: 'jwk' }))
      const body = publicKey.replace(/-----[^-]+-----|\s/g, '')
      return [publicKey, publicKey.trim(), ` ${publicKey}`, `\n${publicKey}`, `\ufeff${publicKey}`, der, jwk, body].map(
        (secret) => hmacToken({ ...header, alg: 'HS256' }, payload, secret)
      )
    }
  ),
  forged(
    'J04',
    'an extension that is critical and unknown is refused',
    ['CVE-2026-35042 (fast-jwt)'],
    (header, payload) => [
      token({ ...header, crit: ['x'], x: 1 }, payload, JUNK),
      token({ ...header, crit: [] }, payload, JUNK),
      token({ ...header, crit: ['b64'], b64: false }, payload, JUNK),
      token({ ...header, crit: 'exp' }, payload, JUNK)
    ]
  ),
  forged(
    'J05',
    'a token does not bring its own key',
    ['CVE-2018-0114 (node-jose)'],
    (header, payload, { strangers }) => {
      const own = { typ: 'at+jwt', alg: 'ES256' }
      const url = 'https://evil.invalid/keys.json'
      return [
        { ...own, jwk: strangers.ec.publicKey.export({ format: 'jwk' }) },
        { ...own, kid: 'x', jku: url },
        { ...own, x5u: url },
        { ...own, x5c: ['MIIBszCCAVmgAwIBAgIU'] },
        { ...header, alg: 'ES256' },
        { ...header, alg: 'EdDSA' }
      ].map((members) => strangersToken(members, payload, strangers))
    }
  ),
  forged('J06', 'kid is a name, not a path, a query or a URL', ['CVE-2025-59936 (get-jwks)'], (header, payload) =>
    [
      '../../../../dev/null',
      '/dev/null',
      "x' OR '1'='1",
      "x' UNION SELECT 'x",
      '| id',
      'https://evil.invalid/key',
      '__proto__',
      'constructor',
      'k'.repeat(2_000),
      undefined,
      null,
      7,
      ['1'],
      'unknown'
    ].map((kid) => hmacToken({ ...header, alg: 'HS256', kid }, payload, ''))
  ),
  forged('J14', 'a payload other than a set of claims is refused', ['RFC 7519, 7.2'], (header, payload) => [
    ...['[]', '"x"', 'null', '1', 'true', '{', '', '{"__proto__":{"admin":true}}', '\xff\xfe'].map((text) =>
      token(header, text, JUNK)
    ),
    token(header, { ...payload, exp: 'never' }, JUNK),
    token(header, { ...payload, sub: { $ne: '' } }, JUNK),
    token(header, { ...payload, sub: 'a\r\nX-OpenId: oForged1' }, JUNK),
    token('[]', payload, JUNK),
    token('null', payload, JUNK),
    token('{', payload, JUNK)
  ]),
  forged('J21', 'another kind of token is not an access token', ['RFC 9068, 2.1'], (header, payload) => [
    'wxr.1.s_0123456789abcdefghij.0.AAAAAAAAAAAAAAAAAAAAAA',
    hmacToken({ ...header, typ: 'rt+jwt', alg: 'HS256' }, payload, 'secret'),
    token({ ...header, typ: 'JWT' }, payload, JUNK),
    `v2.local.${JUNK}`,
    'oForgedForgedForgedForged001'
  ])
]
