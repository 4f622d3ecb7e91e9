/** GET /v1/users/{appid}/{openid} and /v1/users/{u_…}: the record of a user. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { User } from '../identity/users.ts'
import { type Static, Type } from '../schema.ts'
import { AppId, expectApp, findAccounts, findUser, OpenId, type SubjectDeps, UserId } from './subject.ts'

export const UserPath = Type.Object({ appid: AppId, openid: OpenId })
export const UserIdPath = Type.Object({ id: UserId })
export const UNKNOWN_USER = new ApiError('not_found', 'No user with this openid has logged in.')
export const UNKNOWN_ID = new ApiError('not_found', 'No user has this id.')

const Time = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
  description: 'ISO 8601, UTC.'
})

const Members = {
  id: Type.String({ description: 'As in X-User-Id.' }),
  status: Type.Unsafe<'anonymous' | 'bound'>({ type: 'string', enum: ['anonymous', 'bound'] }),
  unionid: Type.Union([Type.String(), Type.Null()]),
  linked_ids: Type.Array(Type.String(), {
    description: 'Other ids of the same person. The first one is given to accounts made from now on.'
  }),
  phone: Type.Union([
    Type.Object(
      { number: Type.String({ description: 'Without the country code.' }), country_code: Type.String() },
      { additionalProperties: false }
    ),
    Type.Null()
  ]),
  first_login: Time,
  last_login: Time,
  authorization_revoked_at: Type.Union([Time, Type.Null()], {
    description: 'The last time WeChat reported that the user revoked the authorization. A later login leaves it.'
  })
}

const Answer = Type.Object(Members, { additionalProperties: false, description: 'The user.' })

const Account = Type.Object({ appid: Type.String(), openid: Type.String() }, { additionalProperties: false })
const AnswerById = Type.Object(
  { ...Members, accounts: Type.Array(Account, { description: 'Accounts with this id, one per mini-program.' }) },
  { additionalProperties: false, description: 'The user.' }
)

export type UserRecord = Static<typeof Answer>
export type UserByIdRecord = Static<typeof AnswerById>

/** @param accounts At least one, all with the same id. */
async function describe(
  { users }: Pick<SubjectDeps, 'users'>,
  accounts: readonly [User, ...User[]]
): Promise<Static<typeof Answer>> {
  const [first] = accounts
  const phone = accounts.find((user) => user.phone !== null)?.phone ?? null
  const revokedAt = Math.max(...accounts.map((user) => user.revokedAt ?? 0))
  return {
    id: first.id,
    status: accounts.some((user) => user.status === 'bound') ? 'bound' : 'anonymous',
    unionid: accounts.find((user) => user.unionId !== null)?.unionId ?? null,
    linked_ids: [...(await users.linkedIds(accounts.find((user) => user.unionId !== null) ?? first))],
    phone: phone === null ? null : { number: phone.phoneNumber, country_code: phone.countryCode },
    first_login: new Date(Math.min(...accounts.map((user) => user.firstLogin))).toISOString(),
    last_login: new Date(Math.max(...accounts.map((user) => user.lastLogin))).toISOString(),
    authorization_revoked_at: revokedAt === 0 ? null : new Date(revokedAt).toISOString()
  }
}

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
    return describe(deps, [user])
  })
}

export function addUsersById(app: FastifyInstance, deps: SubjectDeps): void {
  const schema = {
    operationId: 'getUserById',
    summary: 'The record of a user, by user id',
    description: 'The record over all accounts with the id in the mini-programs that the token may ask about.',
    tags: ['session'],
    params: UserIdPath,
    response: withProblems({ 200: AnswerById }, ['not_found', 'store_unavailable'])
  }
  app.get<{ Params: Static<typeof UserIdPath> }>('/users/:id', { schema }, async (request, reply) => {
    const [first, ...more] = await findAccounts(deps, request, request.params.id)
    if (first === undefined) throw UNKNOWN_ID
    reply.header('cache-control', 'no-store')
    const accounts = [first, ...more].map(({ appId, openId }) => ({ appid: appId, openid: openId }))
    return { ...(await describe(deps, [first, ...more])), accounts }
  })
}
