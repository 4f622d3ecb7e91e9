/** GET /livez, /healthz and /readyz, the same on both listeners. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Parts } from '../../gateway/parts.ts'

type Watched = Pick<Parts, 'lifecycle' | 'revocations' | 'storeWatch'>

export function addHealth(app: FastifyInstance, parts: Watched): void {
  const { lifecycle, revocations } = parts
  for (const path of ['/livez', '/healthz']) app.get(path, { schema: LIVE }, async () => ({ status: 'ok' }))

  app.get<{ Querystring: { verbose?: string } }>('/readyz', { schema: READY }, async (request, reply) => {
    const isReady = lifecycle.isReady && lifecycle.isGroupReady && !lifecycle.isDraining && revocations.isTrusted
    const hasStarted = lifecycle.isReady && lifecycle.isGroupReady
    const status = isReady ? 'ok' : lifecycle.isDraining ? 'draining' : hasStarted ? 'degraded' : 'starting'
    reply.code(isReady ? 200 : 503).header('cache-control', 'no-store')
    return request.query.verbose === undefined ? { status } : { status, checks: checks(parts) }
  })
}

const Status = Type.Object(
  { status: Type.String(), checks: Type.Optional(Type.Record(Type.String(), Type.Unknown())) },
  { description: 'In a word.' }
)
const LIVE = { summary: 'Is the process alive?', tags: ['operation'], response: { 200: Status } }
const READY = { summary: 'Should it get requests?', tags: ['operation'], response: { 200: Status, 503: Status } }

/** What is behind the answer, for a person. */
function checks({ lifecycle, revocations, storeWatch }: Watched) {
  const age = revocations.age()
  const isWell = age < 2_000 && storeWatch.isWritable()
  return {
    lifecycle: lifecycle.isDraining ? 'draining' : lifecycle.isReady ? 'ok' : 'starting',
    store: !revocations.isTrusted ? 'away' : isWell ? 'ok' : 'degraded',
    store_age_seconds: Number.isFinite(age) ? Math.round(age / 1000) : null
  }
}
