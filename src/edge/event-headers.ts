/** Headers of an event of the platform that goes to an upstream. */
import type { FastifyRequest } from 'fastify'
import { recordOf } from '../http/request.ts'
import type { Users } from '../identity/users.ts'

export interface EventSubject {
  readonly appId: string
  /** Equal for every delivery of one event. */
  readonly key: string
  /** The user that the event is about; null for an event without one. */
  readonly openId: string | null
}

/** The identity headers of a proxied request, without a session. */
export async function eventHeaders(
  { users }: { readonly users: Pick<Users, 'find'> },
  request: FastifyRequest,
  { appId, key, openId }: EventSubject
): Promise<Record<string, string>> {
  const user = openId === null ? null : await users.find(appId, openId)
  const { requestId, ownTraceparent: traceparent } = recordOf(request.raw)
  return {
    'x-appid': appId,
    'x-wx-event-id': key,
    'x-request-id': requestId,
    traceparent,
    ...(openId === null ? {} : { 'x-openid': openId }),
    ...(user === null ? {} : { 'x-user-id': user.id })
  }
}
