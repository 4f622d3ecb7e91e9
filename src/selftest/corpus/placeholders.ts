/** Placeholders in the texts of the corpus, such as `{GET}`, `{route}` and `{a*9000}`. */
import type { Subject } from '../case.ts'

const SMUGGLED = 'GET /wxgate-selftest-smuggled HTTP/1.1\r\nHost: smuggled.invalid\r\n\r\n'

/** The bytes of a text for one subject. Keeps `{pause}` and `{end}`, on which the exchange acts. */
export function fill(text: string, subject: Subject): string {
  const { host, route, token, canary } = subject
  const name = route.slice(1)
  const values: Readonly<Record<string, string>> = {
    host,
    route,
    token,
    canary,
    auth: `Authorization: Bearer ${token}\r\n`,
    CHUNKED: `POST ${route} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    SMUGGLED,
    'SMUGGLED.length': String(SMUGGLED.length),
    'SMUGGLED.hex': SMUGGLED.length.toString(16),
    name,
    'name.upper': name.toUpperCase(),
    'name.capital': capitalised(name),
    'name.first': encodeFirst(name),
    'name.first.capital': encodeFirst(capitalised(name)),
    'name.all': encodeAll(name),
    'name.twice': encodeAll(name).replaceAll('%', '%25'),
    'name.wide': utf8Triplets(fullwidth(name)) + name.slice(1),
    'name.wide.raw': Buffer.from(fullwidth(name), 'utf8').toString('latin1') + name.slice(1),
    'name.dotless': name.replace(/i/g, '%C4%B1')
  }
  return text
    .replaceAll('{route}/', route === '/' ? '/' : `${route}/`)
    .replace(/\{([A-Za-z.]+)\}/g, (whole, key: string) => {
      if (Object.hasOwn(values, key)) return values[key] ?? whole
      return /^[A-Z]+$/.test(key) ? `${key} ${route} HTTP/1.1\r\nHost: ${host}\r\n` : whole
    })
    .replace(/\{([^{}]+)\*(\d+)\}/g, (_whole, piece: string, count: string) => piece.repeat(Number(count)))
}

/** GET of a target over HTTP/1.1 with header lines. */
export function get({ host }: Subject, target: string, ...lines: string[]): string {
  return [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n')
}

function capitalised(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1)
}

function encodeFirst(name: string): string {
  return name === '' ? '' : triplet(name.slice(0, 1)) + name.slice(1)
}

function encodeAll(name: string): string {
  return name.replace(/[A-Za-z0-9]/g, triplet)
}

function triplet(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`
}

/** The fullwidth form of the first letter; the letter itself without one. */
function fullwidth(name: string): string {
  const code = name.charCodeAt(0)
  return code > 0x20 && code < 0x7f ? String.fromCharCode(code + 0xfee0) : name.slice(0, 1)
}

function utf8Triplets(text: string): string {
  return encodeURIComponent(text)
}
