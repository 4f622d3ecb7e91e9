/** The callers of the service listener: each has a token and the scopes that it opens. */
import { hash, timingSafeEqual } from 'node:crypto'
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
   *  @param authorization Value of the header (RFC 6750, section 2.1).
   *  @param schemes `basic` also takes name and token of the caller as user and password (RFC
   *  7617), which many HTTP clients send for a URL that holds them. */
  identify(authorization: string | undefined, schemes: Schemes): Caller | ApiError
  /** By name. The fingerprint changes with the token and does not reveal it. */
  find(name: string): { readonly caller: Caller; readonly fingerprint: string } | null
}

export type Schemes = 'bearer' | 'basic'

const MISSING = new ApiError('token_missing', 'Send "Authorization: Bearer <service token>".')
const INVALID = new ApiError('token_invalid', 'The token is not listed under service.tokens.')

export function createCallers(tokens: ServiceConfig['tokens']): Callers {
  const size = Math.max(0, ...tokens.map(({ token }) => Buffer.byteLength(token)))
  const known = tokens.map(({ name, token, scopes, apps, wxapi }) => ({
    digest: digestOf(token),
    padded: Buffer.concat([Buffer.from(token)], size),
    caller: { name, scopes: new Set(scopes), apps: apps && new Set(apps), wxapi }
  }))
  const received = Buffer.alloc(size)

  return {
    identify(authorization, schemes) {
      if (authorization === undefined) return MISSING
      const sent = bearerOf(authorization) ?? (schemes === 'basic' ? basicOf(authorization) : null)
      if (sent === null) return INVALID
      if (sent.token.length > size) return INVALID
      received.fill(0, received.write(sent.token, 'latin1'))
      let found: Caller | ApiError = INVALID
      // Padded with zeros, which no token has, all have one length. All are compared, so that the
      // time reveals no position.
      for (const { padded, caller } of known) if (timingSafeEqual(received, padded)) found = caller
      const isOther = !(found instanceof ApiError) && sent.name !== null && sent.name !== found.name
      return isOther ? INVALID : found
    },
    find(name) {
      const found = known.find(({ caller }) => caller.name === name)
      return found ? { caller: found.caller, fingerprint: found.digest.toString('base64url') } : null
    }
  }
}

interface Sent {
  readonly token: string
  /** Null where only the token was sent. */
  readonly name: string | null
}

function bearerOf(authorization: string): Sent | null {
  const [, token] = /^bearer ([\x21-\x7e]{1,4096})$/i.exec(authorization) ?? []
  return token === undefined ? null : { token, name: null }
}

function basicOf(authorization: string): Sent | null {
  const [, encoded = ''] = /^basic ([A-Za-z0-9+/]{1,6000}={0,2})$/i.exec(authorization) ?? []
  const [, name, token] = /^([^:]*):([\x21-\x7e]{1,4096})$/.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return name === undefined || token === undefined ? null : { token, name }
}

function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}
