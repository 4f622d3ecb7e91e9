/** Business code with a login of its own, written with Express's `(req, res, next)`, and the one
 *  function that changes when the login moves to wxgate. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

export type UserRequest = IncomingMessage & { user?: { readonly openid: string } }
export type Middleware = (req: UserRequest, res: ServerResponse, next: () => void) => void

function send(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** The business code. It does not change. */
export function createCart(): Middleware {
  const carts = new Map<string, number>()
  return (req, res) => {
    const { openid } = req.user ?? { openid: '' }
    const items = (carts.get(openid) ?? 0) + (req.method === 'POST' ? 1 : 0)
    carts.set(openid, items)
    send(res, 200, { openid, items })
  }
}

/** Before: tokens of its own, in a header of its own. `exchange` calls jscode2session. */
export function createOwnLogin(exchange: (code: string) => Promise<{ openid: string }>) {
  const sessions = new Map<string, { openid: string }>()
  const login: Middleware = (req, res) => {
    const code = new URL(req.url ?? '/', 'http://backend').searchParams.get('code') ?? ''
    exchange(code).then(
      ({ openid }) => {
        const token = randomUUID()
        sessions.set(token, { openid })
        send(res, 200, { token })
      },
      () => send(res, 401, { error: 'login failed' })
    )
  }
  const requireUser: Middleware = (req, res, next) => {
    const user = sessions.get(String(req.headers['x-token']))
    if (!user) return send(res, 401, { error: 'not logged in' })
    req.user = user
    next()
  }
  return { login, requireUser }
}

/** After: the gateway has checked the token and names the user. */
export const requireGatewayUser: Middleware = (req, res, next) => {
  const openid = req.headers['x-openid']
  if (typeof openid !== 'string') return send(res, 401, { error: 'not logged in' })
  req.user = { openid }
  next()
}
