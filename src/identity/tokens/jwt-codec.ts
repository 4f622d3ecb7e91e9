/** The port to a JWT library: sign and verify with one key and one algorithm. */

/** One key. `header` is the exact first segment of every token it signs, so a token whose first segment is any other
 *  text was not made by us, whatever it decodes to. */
export interface JwtCodec {
  readonly kid: string
  readonly header: string
  sign(claims: Readonly<Record<string, unknown>>): string
  /** The claims, or null for a token whose signature does not match. Checks nothing but the signature. */
  verify(token: string): Readonly<Record<string, unknown>> | null
  /** The public half (RFC 7517); null for a symmetric key. */
  readonly publicJwk: Readonly<Record<string, unknown>> | null
}
