/** The port to a JWT library: sign and verify with one key and one algorithm. */

/** One key. `header` is the exact first segment of every token it signs: a token with any other
 *  first segment is not from this gateway, whatever that segment decodes to. */
export interface JwtCodec {
  readonly kid: string
  readonly header: string
  sign(claims: Readonly<Record<string, unknown>>): string
  /** The claims, or null when the signature does not match. Checks the signature only. */
  verify(token: string): Readonly<Record<string, unknown>> | null
  /** The public half (RFC 7517); null for a symmetric key. */
  readonly publicJwk: Readonly<Record<string, unknown>> | null
}
