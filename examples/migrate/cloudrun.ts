/** A backend written for WeChat Cloud Run (微信云托管): notes keyed by the user that the headers
 *  name. */
import { createServer, type Server } from 'node:http'

export function createCloudRunBackend(): Server {
  const notes = new Map<string, string[]>()
  return createServer((req, res) => {
    const header = (name: string) => req.headers[name]?.toString() ?? null
    const answer = (status: number, body: unknown) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    // Cloud Run sets it for calls from WeChat only.
    if (header('x-wx-source') === null) return answer(401, { error: 'not called by WeChat' })
    // A user of a mini-program that shares this environment has no X-WX-OPENID.
    const openid = header('x-wx-openid') ?? header('x-wx-from-openid')
    const appid = header('x-wx-from-appid') ?? header('x-wx-appid')
    if (openid === null || appid === null) return answer(401, { error: 'no user' })
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const own = notes.get(`${appid} ${openid}`) ?? []
      if (req.method === 'POST') own.push(Buffer.concat(chunks).toString())
      notes.set(`${appid} ${openid}`, own)
      const { env, ip } = { env: header('x-wx-env'), ip: header('x-original-forwarded-for') }
      answer(200, {
        openid,
        appid,
        unionid: header('x-wx-unionid') ?? header('x-wx-from-unionid'),
        env,
        ip,
        notes: own
      })
    })
  })
}
