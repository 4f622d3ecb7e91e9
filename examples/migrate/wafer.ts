/** A backend on Tencent's wafer SDK. `check` does the same calls as the SDK's LoginService: it asks
 *  the session server about the X-WX-Id and X-WX-Skey of each request. */
import { createServer, type IncomingMessage, type Server } from 'node:http'

interface WaferConfig {
  /** The session server, as in the SDK's settings. */
  readonly authServerUrl: string
}

interface UserInfo {
  readonly openId: string
}

/** Marks an answer about the session for the SDK's client. */
const MAGIC = 'F2C224D4-2BCE-4C64-AF9F-A6D872000D1A'

export function createWaferBackend(config: WaferConfig): Server {
  async function check(req: IncomingMessage): Promise<UserInfo> {
    const para = { id: req.headers['x-wx-id'], skey: req.headers['x-wx-skey'] }
    const call = { version: 1, componentName: 'MA', interface: { interfaceName: 'qcloud.cam.auth', para } }
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(config.authServerUrl, { method: 'POST', headers, body: JSON.stringify(call) })
    if (answer.status !== 200) throw new Error('ERR_CHECK_LOGIN_FAILED')
    const { returnCode, returnData } = (await answer.json()) as {
      returnCode: number
      returnData: { user_info: UserInfo }
    }
    if (returnCode === 60011 || returnCode === 60012) throw new Error('ERR_INVALID_SESSION')
    if (returnCode !== 0) throw new Error('ERR_CHECK_LOGIN_FAILED')
    return returnData.user_info
  }

  return createServer((req, res) => {
    const answer = (body: unknown) =>
      res.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
    check(req).then(
      (userInfo) => answer({ code: 0, message: 'ok', data: { userInfo } }),
      (error: Error) => answer({ [MAGIC]: 1, error: error.message })
    )
  })
}
