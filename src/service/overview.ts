/** The calls that show the whole gateway: for callers whose token covers every mini-program. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { addExplain, type ExplainDeps } from './explain.ts'
import { addFailureIdentity, addFailures, type FailuresDeps } from './failures.ts'
import { addStatusEvents, type StatusEventsDeps } from './status/events.ts'
import { addStatus, type StatusDeps } from './status/status.ts'

export type OverviewDeps = StatusDeps & StatusEventsDeps & FailuresDeps & ExplainDeps

const NARROWED = new ApiError('forbidden', 'This needs a service token without "apps": it shows every mini-program.')

/** @param scope For callers with the scope admin. */
export function addOverview(scope: FastifyInstance, deps: OverviewDeps): void {
  scope.register(async (inside) => {
    inside.addHook('onRequest', (request, _reply, done) => {
      if (request.caller?.apps === null) done()
      else done(NARROWED)
    })
    addStatus(inside, deps)
    addStatusEvents(inside, deps)
    addFailures(inside, deps)
    addFailureIdentity(inside, deps)
    addExplain(inside, deps)
  })
}
