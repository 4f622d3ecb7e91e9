/** GET /v1/users/{appid}/{openid}: the record of a user. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { AppId, expectApp, findUser, OpenId, type SubjectDeps } from './subject.ts'

export const UserPath = Type.Object({ appid: AppId, openid: OpenId })
export const UNKNOWN_USER = new ApiError('not_found', 'No user with this openid has logged in.')

const Time = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
  description: 'ISO 8601, UTC.'
})

const Answer = Type.Object(
  {
    id: Type.String({ description: 'As in X-User-Id.' }),
    status: Type.Unsafe<'anonymous' | 'bound'>({ type: 'string', enum: ['anonymous', 'bound'] }),
    unionid: Type.Union([Type.String(), Type.Null()]),
    phone: Type.Union([
      Type.Object(
        { number: Type.String({ description: 'Without the country code.' }), country_code: Type.String() },
        { additionalProperties: false }
      ),
      Type.Null()
    ]),
    first_login: Time,
    last_login: Time
  },
  { additionalProperties: false, description: 'The user.' }
)

export function addUsers(app: FastifyInstance, deps: SubjectDeps): void {
  const schema = {
    operationId: 'getUser',
    summary: 'The record of a user',
    description: 'The record of one user in one mini-program.',
    tags: ['session'],
    params: UserPath,
    response: withProblems({ 200: Answer }, ['not_found', 'store_unavailable'])
  }
  app.get<{ Params: Static<typeof UserPath> }>('/users/:appid/:openid', { schema }, async (request, reply) => {
    const { appid, openid } = request.params
    const wxApp = expectApp(deps, request, appid)
    const user = await findUser(deps, request, wxApp, openid)
    if (!user) throw UNKNOWN_USER
    reply.header('cache-control', 'no-store')
    const { phone } = user
    return {
      id: user.id,
      status: user.status,
      unionid: user.unionId,
      phone: phone === null ? null : { number: phone.phoneNumber, country_code: phone.countryCode },
      first_login: new Date(user.firstLogin).toISOString(),
      last_login: new Date(user.lastLogin).toISOString()
    }
  })
}
