/** Adapter of the JWT port to @fastify/jwt: one namespace per key, one algorithm per namespace. */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { schemaController } from '../../http/endpoints/validators.ts'
import type { JwtCodec } from './jwt-codec.ts'
import type { SigningKey } from './signing-keys.ts'

/** Access tokens carry their own media type (RFC 9068, section 2.1), so that no other token of
 *  the gateway passes for one. */
const ACCESS_TOKEN_TYPE = 'at+jwt'

interface JwtNamespace {
  sign(payload: object): string
  verify(token: string): unknown
}

/** Codecs in the order of the keys. */
export async function createJwtCodecs(keys: readonly SigningKey[]): Promise<JwtCodec[]> {
  const host = Fastify({ logger: false, schemaController })
  for (const key of keys) {
    // The library takes symmetric keys as bytes and asymmetric ones as PEM.
    host.register(fastifyJwt, {
      namespace: key.kid,
      secret: keyMaterial(key),
      sign: { algorithm: key.algorithm, kid: key.kid, header: { alg: key.algorithm, typ: ACCESS_TOKEN_TYPE } },
      verify: {
        algorithms: [key.algorithm],
        // The token rules check every claim; the library verifies the signature only.
        ignoreExpiration: true,
        ignoreNotBefore: true,
        cache: false
      }
    })
  }
  await host.ready()
  const namespaces = host.jwt as unknown as Record<string, JwtNamespace | undefined>
  return keys.map((key) => createCodec(key, namespaces[key.kid]))
}

function createCodec(key: SigningKey, namespace: JwtNamespace | undefined): JwtCodec {
  if (!namespace) throw new Error('the JWT plugin did not register a key')
  const sign = (claims: Readonly<Record<string, unknown>>) => namespace.sign({ ...claims })
  const [header = ''] = sign({ probe: 1 }).split('.')
  return {
    kid: key.kid,
    header,
    sign,
    publicJwk: key.publicJwk,
    verify(token) {
      // The library throws on a wrong signature, which costs ten times the check itself and would
      // make a flood of such tokens expensive. The library still verifies every token that passes
      // here.
      if (key.algorithm === 'HS256' && !isSignedWith(key.privateKey, token)) return null
      try {
        const claims = namespace.verify(token)
        return isClaims(claims) ? claims : null
      } catch {
        return null
      }
    }
  }
}

/** RFC 7515, appendix A.1. */
function isSignedWith(secret: KeyObject, token: string): boolean {
  const end = token.lastIndexOf('.')
  const expected = createHmac('sha256', secret)
    .update(token.slice(0, Math.max(0, end)))
    .digest()
  const given = Buffer.from(token.slice(end + 1), 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const isClaims = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function keyMaterial(key: SigningKey) {
  if (key.algorithm === 'HS256') return key.privateKey.export()
  const pem = (object: KeyObject, type: 'pkcs8' | 'spki') => object.export({ format: 'pem', type }).toString()
  return { private: pem(key.privateKey, 'pkcs8'), public: pem(key.publicKey, 'spki') }
}
