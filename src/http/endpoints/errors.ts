/** Every error of a Fastify handler, in the one shape that clients know. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, PROBLEM_TYPE, StoreError, toApiError, toProblem } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { sendProblem } from '../answer/send-problem.ts'
import { contextOf } from '../record.ts'

const NOT_FOUND = new ApiError('not_found', 'The gateway has no such endpoint.')
const TOO_LARGE = new ApiError('body_too_large', 'The request body is larger than this endpoint accepts.')

export interface ErrorHooks {
  requestId(request: FastifyRequest): string
  /** Told before the answer is written. */
  onError(request: FastifyRequest, error: ApiError): void
  readonly log: Log
}

export function useErrors(app: FastifyInstance, hooks: ErrorHooks): void {
  const answer = (request: FastifyRequest, reply: FastifyReply, error: ApiError) => {
    hooks.onError(request, error)
    if (error === TOO_LARGE) {
      // Fastify would close the connection while the client is still sending, and the reset takes the answer with it.
      reply.hijack()
      sendProblem(request.raw, reply.raw, error, contextOf(request.raw))
      return reply
    }
    return reply
      .code(error.status)
      .headers(error.headers)
      .header('cache-control', 'no-store')
      .header('content-type', PROBLEM_TYPE)
      .send(JSON.stringify(toProblem(error, hooks.requestId(request))))
  }
  // Fastify reads text as well, which would then be refused for what it holds and not for what it is.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, request, reply) => answer(request, reply, translate(error, hooks.log)))
  app.setNotFoundHandler((request, reply) => answer(request, reply, NOT_FOUND))
}

export function translate(error: unknown, log: Log): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreError) {
    log.warn({ err: error }, 'the store failed a request')
    return toApiError(error)
  }
  const { code, statusCode, validation } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return TOO_LARGE
  if (validation) return new ApiError('invalid_request', describe(validation))
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new ApiError('invalid_request', 'Send the body as application/json.')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('invalid_request', 'The body is not valid JSON for this endpoint.')
  }
  log.error({ err: error }, 'the handler of a request threw an unexpected error')
  return toApiError(error)
}

/** Names what is wrong, never what was sent. */
function describe(validation: NonNullable<FastifyError['validation']>): string {
  const parts = validation.map(({ instancePath, message, params }) => {
    const where = instancePath === '' ? 'The body' : `"${instancePath.slice(1).replaceAll('/', '.')}"`
    const extra = typeof params.additionalProperty === 'string' ? ` ("${params.additionalProperty.slice(0, 40)}")` : ''
    return `${where} ${message ?? 'is not valid'}${extra}`
  })
  return `${parts.slice(0, 3).join('; ')}.`
}
