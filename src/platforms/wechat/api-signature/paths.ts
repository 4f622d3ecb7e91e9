/** Interfaces of WeChat that take signed and encrypted calls. */

/** Those whose pages say 支持加密请求. */
const SIGNED: ReadonlySet<string> = new Set([
  '/cgi-bin/clear_quota',
  '/cgi-bin/openapi/quota/get',
  '/cgi-bin/openapi/rid/get',
  '/cgi-bin/message/custom/send',
  '/cgi-bin/message/wxopen/updatablemsg/send',
  '/cgi-bin/message/subscribe/send',
  '/cgi-bin/express/business/account/getall',
  '/cgi-bin/express/business/delivery/getall',
  '/cgi-bin/express/business/printer/getall',
  '/cgi-bin/soter/verify_signature',
  '/datacube/getweanalysisappidweeklyretaininfo',
  '/datacube/getweanalysisappidmonthlyretaininfo',
  '/datacube/getweanalysisappiddailyretaininfo',
  '/datacube/getweanalysisappidmonthlyvisittrend',
  '/datacube/getweanalysisappiddailyvisittrend',
  '/datacube/getweanalysisappidweeklyvisittrend',
  '/datacube/getweanalysisappiddailysummarytrend',
  '/datacube/getweanalysisappidvisitpage',
  '/datacube/getweanalysisappiduserportrait',
  '/datacube/getweanalysisappidvisitdistribution',
  '/wxa/getpluginopenpid',
  '/wxa/business/checkencryptedmsg',
  '/wxa/business/getuserencryptkey',
  '/wxa/business/getuserphonenumber',
  '/wxa/business/performance/boot',
  '/wxa/msg_sec_check',
  '/wxa/media_check_async',
  '/wxa/getuserriskrank',
  '/wxa/getwxadevinfo',
  '/wxa/devplugin',
  '/wxa/plugin',
  '/wxa/servicemarket',
  '/wxaapi/newtmpl/deltemplate',
  '/wxaapi/newtmpl/addtemplate',
  '/wxaapi/log/get_performance',
  '/wxaapi/log/jserr_detail',
  '/wxaapi/log/jserr_list'
])

/** True for a call that has to be signed for an app with API signatures. Interfaces that answer
 *  with an image are not among them: the documentation describes answers in JSON only. */
export function isSignedCall(method: string, path: string): boolean {
  return method === 'POST' && SIGNED.has(path)
}
