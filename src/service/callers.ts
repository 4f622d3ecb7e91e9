/** Who may call the service listener: backends and operators, each with a token and the scopes it opens. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { ServiceConfig, ServiceScope } from '../config/config.ts'
import { ApiError } from '../errors.ts'

export interface Caller {
  readonly name: string
  readonly scopes: ReadonlySet<ServiceScope>
}

export interface Callers {
  /** Whose credential this is; an error for none and for one that is not acceptable.
   *  @param authorization Value of the header (RFC 6750, section 2.1). */
  identify(authorization: string | undefined): Caller | ApiError
}

const MISSING = new ApiError('token_missing', 'Send "Authorization: Bearer <service token>".')
const INVALID = new ApiError('token_invalid', 'This is none of the tokens listed under service.tokens.')

export function createCallers(tokens: ServiceConfig['tokens']): Callers {
  const known = tokens.map(({ name, token, scopes }) => ({
    digest: digestOf(token),
    caller: { name, scopes: new Set(scopes) }
  }))

  return {
    identify(authorization) {
      if (authorization === undefined) return MISSING
      const [, token] = /^bearer ([\x21-\x7e]{1,4096})$/i.exec(authorization) ?? []
      if (token === undefined) return INVALID
      const digest = digestOf(token)
      let found: Caller | ApiError = INVALID
      // Hashes have one length and tell nothing by their first bytes; all are compared, whichever it is.
      for (const { digest: expected, caller } of known) if (timingSafeEqual(digest, expected)) found = caller
      return found
    }
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
