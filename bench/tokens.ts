/** Access tokens for the subjects: signed here for those that only verify, and obtained from
 *  wxgate through /auth/login, as a mini-program does. */
import { createHmac } from 'node:crypto'

/** HS256 with the claims that a session of a mini-program has; valid for two hours. */
export function signTokens(secret: string, count: number): string[] {
  const header = encode({ alg: 'HS256', typ: 'JWT' })
  const now = Math.floor(Date.now() / 1000)
  return Array.from({ length: count }, (_, i) => {
    const openid = `oBench-${String(i).padStart(21, '0')}`
    const payload = encode({
      iss: 'bench',
      sub: `user-${i}`,
      openid,
      appid: 'wx0123456789abcdef',
      iat: now,
      exp: now + 7200
    })
    const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')
    return `${header}.${payload}.${signature}`
  })
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Logs in `count` different users, a few at a time, with codes that the sandbox knows. */
export async function logIn(port: number, appId: string, count: number, concurrency = 16): Promise<string[]> {
  const tokens: string[] = []
  let next = 0
  async function worker(): Promise<void> {
    while (next < count) {
      next += 1
      const response = await fetch(`http://127.0.0.1:${port}/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: `sandbox-u${next}`, appid: appId })
      })
      const body = await response.text()
      if (!response.ok) throw new Error(`login answered ${response.status}: ${body.slice(0, 300)}`)
      tokens.push((JSON.parse(body) as { access_token: string }).access_token)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return tokens
}
