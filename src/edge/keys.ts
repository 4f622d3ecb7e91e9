/** GET /.well-known/jwks.json: the public keys of the access tokens. */
import type { FastifyInstance } from 'fastify'
import { PUBLIC } from '../http/endpoints/openapi.ts'
import type { AccessTokens } from '../identity/tokens/access-tokens.ts'
import { Type } from '../schema.ts'

export interface KeysDeps {
  readonly accessTokens: Pick<AccessTokens, 'publicKeys'>
}

const Keys = Type.Object(
  { keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) },
  { additionalProperties: false, description: 'A JSON Web Key Set (RFC 7517); empty with HS256.' }
)

export function addKeys(app: FastifyInstance, { accessTokens }: KeysDeps): void {
  const schema = {
    operationId: 'getKeys',
    summary: 'The public keys of the access tokens',
    description: 'For backends that verify access tokens themselves, with `tokens.algorithm` EdDSA or ES256.',
    tags: ['operation'],
    security: PUBLIC,
    response: { 200: Keys }
  }
  app.get('/.well-known/jwks.json', { schema }, async () => ({ keys: accessTokens.publicKeys }))
}
