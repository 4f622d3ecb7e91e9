// examples/sdks/co-wechat-api.mjs
import WechatAPI from 'co-wechat-api'

/**
 * @param wxgate Address of the service listener, such as http://127.0.0.1:9090.
 * @param serviceToken A token of service.tokens with the scope wxapi.
 */
export function createWechatApi({ wxgate, serviceToken, appid }) {
  // wxgate adds the real access_token, and knows the AppSecret.
  const getToken = async () => ({ accessToken: 'wxgate', expireTime: Number.MAX_SAFE_INTEGER })
  const saveToken = async () => {}
  const api = new WechatAPI(appid, 'wxgate', getToken, saveToken, true)
  const base = `${wxgate}/wxapi/${appid}`
  api.prefix = `${base}/cgi-bin/`
  api.wxaPrefix = `${base}/wxa/`
  api.merchantPrefix = `${base}/merchant/`
  api.customservicePrefix = `${base}/customservice/`
  api.setOpts({ headers: { authorization: `Bearer ${serviceToken}` } })
  return api
}
