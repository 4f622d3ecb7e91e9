/** A response that breaks a rule of RFC 9112. The position in the byte stream is unknown after
 *  it. */

export type ResponseFaultCode =
  | 'HTTP_VERSION'
  | 'HTTP_STATUS_LINE'
  | 'HTTP_INTERIM'
  | 'HTTP_UPGRADE'
  | 'HTTP_FIELD_NAME'
  | 'HTTP_FIELD_VALUE'
  | 'HTTP_FOLDING'
  | 'HTTP_FRAMING'
  | 'HTTP_CHUNK'
  | 'HTTP_HEAD_TOO_LARGE'
  | 'HTTP_TRAILERS'
  | 'HTTP_INCOMPLETE'
  | 'HTTP_CLOSED'

/** The message names the rule and holds no bytes of the response. Destroy the connection. */
export class ResponseFault extends Error {
  readonly code: ResponseFaultCode

  constructor(code: ResponseFaultCode, message: string) {
    super(message)
    this.name = 'ResponseFault'
    this.code = code
  }
}
