/** GET /v1/push/dead and POST /v1/push/dead/{id}/retry: events that were given up, and another
 *  delivery of one. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { type Static, Type } from '../schema.ts'
import { AppId, expectApp, mayAskAbout, type SubjectDeps } from './subject.ts'

interface DeadEvent {
  /** Decimal, in the order of arrival. */
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly json: string
  readonly enqueuedAt: number
  readonly diedAt: number
  readonly reason: string
}

/** The dead events of one queue. */
export interface DeadEvents {
  /** First part of the id of an event here. */
  readonly kind: string
  readonly appId: string
  readonly delivery: {
    dead(after: string, count: number): Promise<DeadEvent[]>
    retry(id: string): Promise<boolean>
  }
}

export interface DeadEventsDeps extends Pick<SubjectDeps, 'findApp'> {
  readonly deadEvents: readonly DeadEvents[]
}

const DEFAULT_COUNT = 50

const Id = Type.String({ pattern: '^[a-z]{1,16}\\.[A-Za-z0-9_-]{1,64}\\.\\d{1,15}$', description: 'As in the list.' })
const Query = Type.Object({
  appid: Type.Optional(AppId),
  after: Type.Optional(Id),
  limit: Type.Optional(Type.String({ pattern: '^([1-9]\\d?|100)$', description: 'Events in one answer: 1 to 100.' }))
})
const Time = Type.String({ description: 'ISO 8601, UTC.' })
const Event = Type.Object(
  {
    id: Id,
    appid: Type.String(),
    openid: Type.Union([Type.String(), Type.Null()]),
    event_id: Type.Union([Type.String(), Type.Null()], { description: 'As in X-WX-Event-Id.' }),
    body: Type.String({ description: 'The JSON text for the backend.' }),
    reason: Type.String({ description: 'Why it was given up.' }),
    received: Time,
    died: Time
  },
  { additionalProperties: false }
)
export type DeadEventStatus = Static<typeof Event>
const Answer = Type.Object(
  { events: Type.Array(Event), next: Type.Union([Id, Type.Null()], { description: '`after` for the next answer.' }) },
  { additionalProperties: false, description: 'The oldest first, by mini-program.' }
)
const Params = Type.Object({ id: Id })
const UNKNOWN_EVENT = new ApiError('not_found', 'No dead event has this id.')

export function addDeadEvents(app: FastifyInstance, deps: DeadEventsDeps): void {
  const schema = {
    operationId: 'listDeadEvents',
    summary: 'Events that were given up',
    description: 'Events of the mini-programs that the token covers, or of one of them.',
    tags: ['admin'],
    querystring: Query,
    response: withProblems({ 200: Answer }, ['store_unavailable'])
  }
  app.get<{ Querystring: Static<typeof Query> }>('/push/dead', { schema }, async (request, reply) => {
    const { appid, after = '', limit } = request.query
    if (appid !== undefined) expectApp(deps, request, appid)
    const queues = deps.deadEvents.filter(({ appId }) => mayAskAbout(request, appId) && appId === (appid ?? appId))
    const count = limit === undefined ? DEFAULT_COUNT : Number(limit)
    reply.header('cache-control', 'no-store')
    return list(queues, after, count)
  })
}

export function addRetryDeadEvent(app: FastifyInstance, deps: DeadEventsDeps): void {
  const schema = {
    operationId: 'retryDeadEvent',
    summary: 'Deliver a dead event again',
    description: 'It comes before later events of the same user.',
    tags: ['admin'],
    params: Params,
    response: withProblems({ 204: Type.Null({ description: 'It will be delivered.' }) }, [
      'not_found',
      'store_unavailable'
    ])
  }
  app.post<{ Params: Static<typeof Params> }>('/push/dead/:id/retry', { schema }, async (request, reply) => {
    const found = findQueue(deps.deadEvents, request, request.params.id)
    if (found === null || !(await found.queue.delivery.retry(found.id))) throw UNKNOWN_EVENT
    return reply.code(204).send()
  })
}

function findQueue(queues: readonly DeadEvents[], request: FastifyRequest, eventId: string) {
  const queue = queues.find((one) => eventId.startsWith(prefixOf(one)))
  if (queue === undefined || !mayAskAbout(request, queue.appId)) return null
  if (request.audit) request.audit.app = queue.appId
  return { queue, id: eventId.slice(prefixOf(queue).length) }
}

/** Goes through the queues in their order; `after` names an event in one of them. */
async function list(queues: readonly DeadEvents[], after: string, count: number): Promise<Static<typeof Answer>> {
  const first = Math.max(
    0,
    queues.findIndex((queue) => after.startsWith(prefixOf(queue)))
  )
  const events: Static<typeof Event>[] = []
  let position = after.slice(after.lastIndexOf('.') + 1)
  for (const queue of queues.slice(first)) {
    const found = await queue.delivery.dead(position, count + 1 - events.length)
    events.push(...found.map((event) => describe(queue, event)))
    if (events.length > count) break
    position = ''
  }
  const page = events.slice(0, count)
  return { events: page, next: events.length > count ? (page.at(-1)?.id ?? null) : null }
}

const prefixOf = ({ kind, appId }: DeadEvents) => `${kind}.${appId}.`

function describe(queue: DeadEvents, { id, headers, json, enqueuedAt, diedAt, reason }: DeadEvent) {
  return {
    id: `${prefixOf(queue)}${id}`,
    appid: queue.appId,
    openid: headers['x-openid'] ?? null,
    event_id: headers['x-wx-event-id'] ?? null,
    body: json,
    reason,
    received: new Date(enqueuedAt).toISOString(),
    died: new Date(diedAt).toISOString()
  }
}
