/** Schemas of the tokens in the answers of /auth/login and /auth/refresh. */
import type { UserStatus } from '../identity/principal.ts'
import { Type } from '../schema.ts'

export const Status = Type.Unsafe<UserStatus>({
  type: 'string',
  enum: ['anonymous', 'bound'],
  description: '`bound`: the user has a phone number.'
})

export const grantProperties = {
  access_token: Type.String({ description: 'For `Authorization: Bearer`.' }),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ minimum: 0, description: 'Seconds.' }),
  refresh_token: Type.String({ description: 'Valid for one call of /auth/refresh.' }),
  refresh_expires_in: Type.Integer({ minimum: 0, description: 'Seconds.' })
}
