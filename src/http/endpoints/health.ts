/** GET /livez, /healthz and /readyz, the same on both listeners. */
import type { FastifyInstance } from 'fastify'
import { Type } from '../../schema.ts'
import { isReady, type Lifecycle } from '../lifecycle.ts'
import { PUBLIC } from './openapi.ts'

export interface HealthDeps {
  readonly lifecycle: Readonly<Lifecycle>
  readonly revocations: {
    /** False once the revocation feed has been unreadable for longer than its grace. */
    readonly isTrusted: boolean
    /** Milliseconds since the feed was last read to its end. */
    age(): number
  }
  readonly storeWatch: { isWritable(): boolean }
  readonly appChecks: { states(): Readonly<Record<string, string>> }
  readonly members: { states(): Readonly<Record<string, string>> }
}

const STATUS = { type: 'string', description: '`ok`, or the reason in one word.' }
const Status = Type.Object({ status: Type.Unsafe<string>(STATUS) }, { description: 'Yes.' })
const Readiness = (description: string) =>
  Type.Object(
    {
      status: Type.Unsafe<string>(STATUS),
      checks: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), { description: 'With `?verbose`: one entry per part.' })
      )
    },
    { description }
  )

const ReadinessQuery = Type.Object({
  verbose: Type.Optional(Type.String({ description: 'Any value, or none: adds `checks`.' }))
})

export function addHealth(app: FastifyInstance, deps: HealthDeps): void {
  const { lifecycle, revocations } = deps
  for (const [path, operationId] of [
    ['/livez', 'getLiveness'],
    ['/healthz', 'getHealth']
  ] as const) {
    const schema = {
      operationId,
      summary: 'Whether the process is alive',
      description: 'Answers as long as the process runs, also while it drains.',
      tags: ['operation'],
      security: PUBLIC,
      response: { 200: Status }
    }
    app.get(path, { schema }, async () => ({ status: 'ok' }))
  }

  const schema = {
    operationId: 'getReadiness',
    summary: 'Whether this instance accepts requests',
    description: '503 while it starts, while it drains, and once the store has been away for longer than its grace.',
    tags: ['operation'],
    security: PUBLIC,
    querystring: ReadinessQuery,
    response: { 200: Readiness('Yes.'), 503: Readiness('No.') }
  }
  app.get<{ Querystring: { verbose?: string } }>('/readyz', { schema }, async (request, reply) => {
    const isServing = isReady({ lifecycle, revocations })
    const hasStarted = lifecycle.isReady && lifecycle.isGroupReady
    const status = isServing ? 'ok' : lifecycle.isDraining ? 'draining' : hasStarted ? 'degraded' : 'starting'
    reply.code(isServing ? 200 : 503).header('cache-control', 'no-store')
    return request.query.verbose === undefined ? { status } : { status, checks: checks(deps) }
  })
}

function checks({ lifecycle, revocations, storeWatch, appChecks, members }: HealthDeps) {
  const age = revocations.age()
  const isWell = age < 2_000 && storeWatch.isWritable()
  return {
    lifecycle: lifecycle.isDraining ? 'draining' : lifecycle.isReady ? 'ok' : 'starting',
    store: !revocations.isTrusted ? 'away' : isWell ? 'ok' : 'degraded',
    store_age_seconds: Number.isFinite(age) ? Math.round(age / 1000) : null,
    // Does not count for readiness: requests with a token need no call to WeChat.
    apps: appChecks.states(),
    // Does not count either: another instance would reach the same targets.
    upstreams: members.states()
  }
}
