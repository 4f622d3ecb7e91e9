/** Answers every error of a Fastify handler with a problem document. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, StoreError, toApiError } from '../../errors.ts'
import { sendProblem } from '../answer/send-problem.ts'
import { type GatewayRequest, recordOf } from '../request.ts'

export interface ErrorLog {
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

const TOO_LARGE = new ApiError('body_too_large', 'The request body is larger than this endpoint accepts.')
const NOT_JSON = new ApiError('invalid_request', 'Send the body as application/json.')
const INVALID_JSON = new ApiError('invalid_request', 'The body is not valid JSON for this endpoint.')

export function useErrors(app: FastifyInstance, log: ErrorLog): void {
  const answer = (request: FastifyRequest, reply: FastifyReply, error: ApiError) => {
    const record = recordOf(request.raw)
    record.refused(error.code)
    // Fastify would close the connection while the client is sending; the reset would lose the
    // answer.
    reply.hijack()
    sendProblem(request.raw as GatewayRequest, reply.raw, error, record.requestId)
    return reply
  }
  // Fastify parses text/plain by default; the answer would then name the value and not the type.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, request, reply) => answer(request, reply, translate(error, log)))
}

function translate(error: unknown, log: ErrorLog): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreError) {
    log.warn({ err: error }, 'the store failed a request')
    return toApiError(error)
  }
  const { code, statusCode } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return TOO_LARGE
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return NOT_JSON
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return INVALID_JSON
  log.error({ err: error }, 'the handler of a request threw an unexpected error')
  return toApiError(error)
}
