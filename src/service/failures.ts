/** GET /v1/failures and POST /v1/failures/{id}/identity: recent refusals and failures with masked
 *  identities, and the identity behind one of them. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { type Static, Type } from '../schema.ts'
import {
  compareFailures,
  type FailureFilter,
  type FailureId,
  type RecentFailure
} from '../telemetry/recent-failures.ts'
import { Count, closed, Milliseconds, orNull, Text, Time, timeOf, word } from './status/terms.ts'

export interface FailuresDeps {
  /** Of all processes; each list is ordered. */
  readonly failures: {
    list(filter: FailureFilter): Promise<readonly (readonly RecentFailure[])[]>
    find(id: FailureId): Promise<RecentFailure | null>
  }
}

const DEFAULT_COUNT = 100
const KINDS = ['refused', 'failed'] as const

const Id = Type.String({ pattern: '^\\d{1,15}-\\d{1,10}-\\d{1,15}$', description: 'As in the list.' })
const Query = Type.Object({
  before: Type.Optional(Id),
  kind: Type.Optional(word(KINDS, 'Only entries of this kind.')),
  limit: Type.Optional(Type.String({ pattern: '^([1-9]\\d?|[1-3]\\d\\d|400)$', description: '1 to 400; default 100.' }))
})

const Failure = closed(
  {
    id: Id,
    kind: word(KINDS, '`refused`: by the gateway; `failed`: a status from 500, or no valid answer of the upstream.'),
    time: Time,
    method: Text,
    path: Type.String({ description: 'Without the query; at most 300 characters.' }),
    route: orNull(Text, 'Path of the route; null for none.'),
    status: Count,
    reason: Type.String({ description: 'As in the access log.' }),
    cause: orNull(Text, 'Such as `ECONNREFUSED`.'),
    duration_ms: Milliseconds,
    upstream: orNull(Text),
    target: orNull(Text, 'The last one that was tried.'),
    tries: Count,
    client: Type.String({ description: 'Network of the client address; the rest is masked.' }),
    app: orNull(Text),
    user: orNull(Text, 'Start of the user id; the rest is masked.'),
    request_id: Text
  },
  'A request that was refused or failed.'
)

export type FailureStatus = Static<typeof Failure>

const Answer = closed(
  { failures: Type.Array(Failure) },
  'The newest first; each process keeps at most 200 of each kind.'
)

const Identity = closed(
  { client: Text, app: orNull(Text), user: orNull(Text, 'As in X-User-Id.') },
  'The identity without a mask. The call is in the audit log.'
)

export type FailureIdentity = Static<typeof Identity>

const Params = Type.Object({ id: Id })
const UNKNOWN = new ApiError('not_found', 'No recent refusal or failure has this id.')

export function addFailures(app: FastifyInstance, { failures }: FailuresDeps): void {
  const schema = {
    operationId: 'listFailures',
    summary: 'Recent refusals and failures of the edge',
    description: 'Kept in memory; with several workers, of all of them. Client addresses and user ids are masked.',
    tags: ['admin'],
    querystring: Query,
    response: withProblems({ 200: Answer }, [])
  }
  app.get<{ Querystring: Static<typeof Query> }>('/failures', { schema }, async (request, reply) => {
    const { before, kind = null, limit } = request.query
    const count = limit === undefined ? DEFAULT_COUNT : Number(limit)
    const lists = await failures.list({ before: before === undefined ? null : idOf(before), kind, count })
    reply.header('cache-control', 'no-store')
    return { failures: lists.flat().sort(compareFailures).slice(0, count).map(describe) }
  })
}

export function addFailureIdentity(app: FastifyInstance, { failures }: FailuresDeps): void {
  const schema = {
    operationId: 'revealFailure',
    summary: 'The identity behind a recent refusal or failure',
    description: 'The client address, the mini-program and the user id, without masks. The audit log names the user.',
    tags: ['admin'],
    params: Params,
    response: withProblems({ 200: Identity }, ['not_found'])
  }
  app.post<{ Params: Static<typeof Params> }>('/failures/:id/identity', { schema }, async (request, reply) => {
    const entry = await failures.find(idOf(request.params.id))
    if (entry === null) throw UNKNOWN
    const { appId: app, userId: user, clientAddress: client } = entry
    if (request.audit) Object.assign(request.audit, { app, user })
    reply.header('cache-control', 'no-store')
    return { client, app, user }
  })
}

/** Text of an id in an answer. */
export function nameOf({ at, pid, number }: FailureId): string {
  return `${at}-${pid}-${number}`
}

function idOf(name: string): FailureId {
  const [at = 0, pid = 0, number = 0] = name.split('-').map(Number)
  return { at, pid, number }
}

function describe(entry: RecentFailure): Static<typeof Failure> {
  const { kind, at, method, path, route, status, reason, cause, ms, upstream, target, tries } = entry
  return {
    id: nameOf(entry),
    kind,
    time: timeOf(at),
    method,
    path,
    route,
    status,
    reason,
    cause,
    duration_ms: Math.round(ms * 100) / 100,
    upstream,
    target,
    tries,
    client: maskAddress(entry.clientAddress),
    app: entry.appId,
    user: entry.userId === null ? null : `${entry.userId.slice(0, 5)}…`,
    request_id: entry.requestId
  }
}

/** Keeps the /24 of an IPv4 address and the /48 of an IPv6 address. */
export function maskAddress(address: string): string {
  if (!address.includes(':')) return address.replace(/\.\d+$/, '.*')
  const [head = ''] = address.split('::')
  return `${head.split(':').slice(0, 3).join(':')}::*`
}
