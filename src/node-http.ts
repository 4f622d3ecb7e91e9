/** Values of node:http, without an `import`: an import reads every export, and reading WebSocket
 *  makes Node compile its own copy of undici, which costs a tenth of a start. */
import type * as http from 'node:http'

export const { createServer, METHODS, request, STATUS_CODES, validateHeaderName, validateHeaderValue } =
  process.getBuiltinModule('node:http')
export const { IncomingMessage, ServerResponse } = process.getBuiltinModule('node:http')
export type IncomingMessage = http.IncomingMessage
export type ServerResponse = http.ServerResponse
