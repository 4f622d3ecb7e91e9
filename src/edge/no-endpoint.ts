/** The answer for a path that is ours although no endpoint of ours is there, or none for the method. */
import type { FastifyInstance, HTTPMethods } from 'fastify'
import { ApiError } from '../errors.ts'

const NOT_FOUND = new ApiError('not_found', 'The gateway has no such endpoint.')
const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

export function noEndpoint(app: FastifyInstance, path: string): ApiError {
  const allow = METHODS.filter((method) => app.hasRoute({ method, url: path })).join(', ')
  if (allow === '') return NOT_FOUND
  return new ApiError('method_not_allowed', `This endpoint accepts ${allow}.`, { headers: { allow } })
}
