/** Checks addresses: the token is sent to `baseUrl` and nowhere else. Mini-programs have no URL
 *  class, so only addresses that every reader parses alike are accepted. */
import { createError } from './errors'

export interface Urls {
  readonly base: string
  /** Returns the absolute address of one that is relative to the base, or under it. Throws
   *  `invalid_url`. */
  resolve(url: string): string
  /** The same for a WebSocket: ws and wss instead of http and https. */
  resolveSocket(url: string): string
  isUnderBase(url: string): boolean
  /** Returns the absolute address that a Location header names. */
  follow(from: string, location: string): string
}

/** Scheme, host and port, path; no user, query or fragment. */
const BASE = /^(https?:\/\/[a-z0-9.-]+(?::\d+)?|https?:\/\/\[[0-9a-f:.]+\](?::\d+)?)((?:\/[^?#\\\s]*)?)$/i
const SCHEME = /^[a-z][a-z0-9+.-]*:/i
const DOT_SEGMENT = /(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|$)/i
/** Some readers drop tabs and line ends, and turn a backslash into a slash. */
const ODD = /[\t\n\r\\]/

export function createUrls(baseUrl: string): Urls {
  const parts = BASE.exec(baseUrl)
  const origin = parts?.[1]?.toLowerCase()
  const path = parts?.[2]?.replace(/\/+$/, '')
  if (origin === undefined || path === undefined || DOT_SEGMENT.test(path)) {
    throw createError({ code: 'invalid_url', detail: 'baseUrl must look like https://gateway.example.com.' })
  }
  const base = origin + path

  function isUnderBase(url: string): boolean {
    if (ODD.test(url)) return false
    const authority = /^[a-z]+:\/\/[^/?#]*/i.exec(url)?.[0] ?? ''
    if (authority.toLowerCase() !== origin) return false
    const rest = url.slice(authority.length)
    const pathname = rest.split(/[?#]/)[0] ?? ''
    if (DOT_SEGMENT.test(pathname)) return false
    return pathname === path || pathname.indexOf(`${path}/`) === 0
  }

  function resolve(url: string): string {
    const isAbsolute = SCHEME.test(url)
    const absolute = isAbsolute ? url : base + (url.charAt(0) === '/' || url.charAt(0) === '?' ? '' : '/') + url
    const isProtocolRelative = !isAbsolute && url.slice(0, 2) === '//'
    if (isProtocolRelative || !isUnderBase(absolute)) {
      throw createError({ code: 'invalid_url', detail: 'The address is not under baseUrl. Nothing was sent.' })
    }
    return absolute
  }

  return {
    base,
    resolve,
    resolveSocket: (url) => resolve(url.replace(/^ws/i, 'http')).replace(/^http/i, 'ws'),
    isUnderBase,
    follow(from, location) {
      if (SCHEME.test(location)) return location
      const fromOrigin = /^[a-z]+:\/\/[^/?#]*/i.exec(from)?.[0] ?? origin
      if (location.slice(0, 2) === '//') return (/^[a-z]+:/i.exec(from)?.[0] ?? 'https:') + location
      if (location.charAt(0) === '/') return fromOrigin + location
      return (from.split(/[?#]/)[0] ?? from).replace(/[^/]*$/, '') + location
    }
  }
}
