/** Ends a request whose handling threw: an error of the gateway costs one request and not the
 *  process. */
import { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ApiError, toApiError } from '../errors.ts'
import { sendProblem } from './answer/send-problem.ts'
import type { RequestRecord } from './record.ts'
import type { GatewayRequest } from './request.ts'

export interface GuardLog {
  error(fields: object, message: string): void
}

export interface Guard {
  /** Answers with the error, or breaks off a response that has started. Closes a socket without
   *  a response. Never throws. */
  failed(client: ServerResponse | Duplex, cause: unknown): void
  /** The error for the client. Logs an unexpected one with its stack and returns internal_error. */
  toApiError(cause: unknown, record: RequestRecord | null): ApiError
}

export function createGuard(log: GuardLog): Guard {
  function toLoggedError(cause: unknown, record: RequestRecord | null): ApiError {
    const error = toApiError(cause)
    if (error.code === 'internal_error') {
      log.error({ err: cause, path: record?.path, request_id: record?.requestId }, 'a request handler failed')
    }
    return error
  }

  return {
    toApiError: toLoggedError,
    failed(client, cause) {
      if (!(client instanceof ServerResponse)) {
        toLoggedError(cause, null)
        client.destroy()
        return
      }
      const req = client.req as GatewayRequest
      const error = toLoggedError(cause, req.record)
      try {
        req.underWay?.onClientClose()
        req.record?.refused(error.code)
        sendProblem(req, client, error, req.record?.requestId ?? '')
      } catch (second) {
        log.error({ err: second }, 'an error response could not be written')
        client.destroy()
      }
    }
  }
}
