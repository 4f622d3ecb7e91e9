/** Models of how servers read a path, each in a few lines. Null: the server refuses it. */
import { posix } from 'node:path'

type Backend = (path: string) => string | null

function decode(path: string): string | null {
  try {
    return decodeURIComponent(path)
  } catch {
    return null
  }
}

const merged = (path: string) => path.replace(/\/{2,}/g, '/')
const resolved = (path: string) => posix.normalize(path)

/** Without its stream, and without dots and spaces at its end; three dots and more are a name. */
function windowsName(segment: string): string {
  const name = segment.replace(/::?\$.*$/, '')
  return /^\.+$/.test(name) ? name : name.replace(/[. ]+$/, '')
}

export const BACKENDS: Readonly<Record<string, Backend>> = {
  asWritten: (path) => path,
  nodeUrl: (path) => (URL.canParse(path, 'http://h') ? new URL(path, 'http://h').pathname : null),
  express: (path) => decode(path)?.toLowerCase() ?? null,
  nginx: (path) => {
    const text = decode(path)
    return text === null ? null : resolved(merged(text))
  },
  tomcat: (path) => {
    const text = decode(path.replace(/;[^/]*/g, ''))
    return text === null ? null : resolved(merged(text))
  },
  spring: (path) => {
    const text = decode(path)
    return text === null ? null : resolved(merged(text.replace(/;[^/]*/g, '')))
  },
  goServeMux: (path) => {
    const text = decode(path)
    return text === null ? null : resolved(text)
  },
  iis: (path) => {
    const text = decode(path)
    if (text === null) return null
    const twice = decode(text) ?? text
    return resolved(merged(twice.replaceAll('\\', '/').split('/').map(windowsName).join('/'))).toLowerCase()
  },
  unicode: (path) => {
    const text = decode(path)
    return text === null ? null : resolved(merged(text.normalize('NFKC'))).toLowerCase()
  },
  php: (path) => {
    const text = decode(path.replaceAll('+', ' '))
    return text === null ? null : (text.split('\0')[0] ?? '').trim()
  }
}

/** The backends that read the path as `prefix` or a path below it. */
export function readersOf(path: string, prefix: string): string[] {
  return Object.entries(BACKENDS).flatMap(([name, read]) => {
    const text = read(path)
    return text === prefix || text?.startsWith(`${prefix}/`) ? [name] : []
  })
}
