/** Ends a request whose handling threw: an error of the gateway costs one request and not the
 *  process. */
import type { Duplex } from 'node:stream'
import { type ApiError, toApiError } from '../errors.ts'
import { ServerResponse } from '../node-http.ts'
import { NodeClientSide } from './answer/node-client-side.ts'
import type { ClientSide } from './client-side.ts'
import type { RequestRecord } from './record.ts'

export interface GuardLog {
  error(fields: object, message: string): void
}

/** The client's side of a request, or the socket of a WebSocket handshake. */
export type Waiting = ClientSide | ServerResponse | Duplex

export interface Guard {
  /** Answers with the error, or breaks off a response that has started. Closes a socket without
   *  a response. Never throws. */
  failed(client: Waiting, cause: unknown): void
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
      const side = client instanceof ServerResponse ? new NodeClientSide(client) : client
      if (!('fail' in side)) {
        toLoggedError(cause, null)
        side.destroy()
        return
      }
      const error = toLoggedError(cause, side.record)
      try {
        side.fail(error)
      } catch (second) {
        log.error({ err: second }, 'an error response could not be written')
        side.destroy()
      }
    }
  }
}
