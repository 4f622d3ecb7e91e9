/** An explained request, and the refusals of Node's parser, which only the parser
 *  makes. */
import type { ApiError } from '../../errors.ts'
import { toClientError } from '../../http/answer/parse-errors.ts'
import { METHODS, validateHeaderName, validateHeaderValue } from '../../node-http.ts'

export interface ExplainedRequest {
  readonly method: string
  readonly target: string
  /** Name and value in turns. */
  readonly rawHeaders: readonly string[]
  /** Address of the peer. */
  readonly from: string
}

/** The error with which Node's parser would refuse the request. */
export function unreadable({ method, target, rawHeaders }: ExplainedRequest, uriLimit: number): ApiError | null {
  const say = (code: string) => toClientError(Object.assign(new Error(code), { code }), uriLimit)
  if (!METHODS.includes(method)) return say('HPE_INVALID_METHOD')
  if (/[^\x21-\x7e]/.test(target) || target === '') return say('HPE_INVALID_URL')
  try {
    for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
      validateHeaderName(rawHeaders[index] ?? '')
      validateHeaderValue(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
    }
    return null
  } catch {
    return say('HPE_INVALID_HEADER_TOKEN')
  }
}
