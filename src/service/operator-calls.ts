/** The calls of an operator, for the console. Each needs the scope that it needs below /v1. */
import type { FastifyInstance } from 'fastify'
import { addDeadEvents, addRetryDeadEvent, type DeadEventsDeps } from './dead-events.ts'
import { addKickSession, addKickUser, addKickUserById, type KickDeps } from './kicks.ts'
import { addOverview, type OverviewDeps } from './overview.ts'
import { addQuotas, type QuotasDeps } from './quotas.ts'
import { addForScope } from './scopes.ts'
import { addSession, addUserSessions, addUserSessionsById, type SessionDeps } from './session.ts'
import type { SubjectDeps } from './subject.ts'
import { addUsers, addUsersById } from './users.ts'

export type LookUpDeps = SubjectDeps & SessionDeps
export type AdminDeps = KickDeps & DeadEventsDeps & QuotasDeps & OverviewDeps
export type OperatorDeps = LookUpDeps & AdminDeps

/** @param scope For callers whose token is known. */
export function addOperatorCalls(scope: FastifyInstance, deps: OperatorDeps): void {
  addForScope(scope, 'session', (inside) => addLookUps(inside, deps))
  addForScope(scope, 'admin', (inside) => addAdminCalls(inside, deps))
}

export function addLookUps(scope: FastifyInstance, deps: LookUpDeps): void {
  addUsers(scope, deps)
  addUsersById(scope, deps)
  addSession(scope, deps)
  addUserSessions(scope, deps)
  addUserSessionsById(scope, deps)
}

export function addAdminCalls(scope: FastifyInstance, deps: AdminDeps): void {
  addKickUser(scope, deps)
  addKickUserById(scope, deps)
  addKickSession(scope, deps)
  addDeadEvents(scope, deps)
  addRetryDeadEvent(scope, deps)
  addQuotas(scope, deps)
  addOverview(scope, deps)
}
