/** The callers of the service listener: each has a token and the scopes that it opens. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { ServiceConfig, ServiceScope } from '../config/config.ts'
import { ApiError } from '../errors.ts'

export interface Caller {
  readonly name: string
  readonly scopes: ReadonlySet<ServiceScope>
  /** Appids; null for every app. */
  readonly apps: ReadonlySet<string> | null
  /** Prefixes of paths of WeChat's API; null for every path. */
  readonly wxapi: readonly string[] | null
}

export interface Callers {
  /** The owner of the credential, or the error for the client.
   *  @param authorization Value of the header (RFC 6750, section 2.1). */
  identify(authorization: string | undefined): Caller | ApiError
}

const MISSING = new ApiError('token_missing', 'Send "Authorization: Bearer <service token>".')
const INVALID = new ApiError('token_invalid', 'The token is not listed under service.tokens.')

export function createCallers(tokens: ServiceConfig['tokens']): Callers {
  const known = tokens.map(({ name, token, scopes, apps, wxapi }) => ({
    digest: digestOf(token),
    caller: { name, scopes: new Set(scopes), apps: apps && new Set(apps), wxapi }
  }))

  return {
    identify(authorization) {
      if (authorization === undefined) return MISSING
      const [, token] = /^bearer ([\x21-\x7e]{1,4096})$/i.exec(authorization) ?? []
      if (token === undefined) return INVALID
      const digest = digestOf(token)
      let found: Caller | ApiError = INVALID
      // Hashes have one length and reveal no first bytes. All are compared, so that the time
      // reveals no position.
      for (const { digest: expected, caller } of known) if (timingSafeEqual(digest, expected)) found = caller
      return found
    }
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
