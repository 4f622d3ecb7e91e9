/** Follows redirects of requests: wx itself would take the token along to any address. */
import type { Exchange } from './exchange'
import { isReading } from './method'
import { headerOf } from './problem'
import type { Urls } from './urls'
import type { WxRequestOptions, WxRequestResult } from './wx'

const MAX_REDIRECTS = 5

export function followRedirects(exchange: Exchange, urls: Urls): Exchange {
  return {
    async perform(what, settings, handle) {
      if (what.kind !== 'request') return exchange.perform(what, settings, handle)
      let { auth, isSealed = false } = settings
      let next: WxRequestOptions = { ...what.options, redirect: 'manual' }
      for (let hop = 0; ; hop++) {
        const answer = await exchange.perform(
          { kind: 'request', options: next },
          { ...settings, auth, isSealed },
          handle
        )
        const result = answer as WxRequestResult
        const location = headerOf(result.header, 'location')
        const isFinal = location === undefined || hop >= MAX_REDIRECTS || !isRedirect(result.statusCode)
        if (isFinal || what.options.redirect === 'manual') return result
        const url = urls.follow(next.url, location)
        const isInside = urls.isUnderBase(url)
        const isSameMethod = result.statusCode === 307 || result.statusCode === 308
        const method = isSameMethod || isReading(next.method) ? next.method : 'GET'
        // A body that was written for the gateway stays with the gateway.
        if (!isInside && !isReading(method)) return result
        if (!isInside) {
          auth = 'public'
          isSealed = false
        }
        const { data, header, method: _method, ...rest } = next
        next = {
          ...rest,
          url,
          ...(method === undefined ? {} : { method }),
          ...(isSameMethod && !isReading(method) && data !== undefined ? { data } : {}),
          ...(isInside && header !== undefined ? { header } : {})
        }
      }
    }
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}
