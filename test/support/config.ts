/** A valid gateway.yaml, to be changed in one place. */
import { readFileSync } from 'node:fs'
import { type FileContent, FileError } from '../../src/config/files.ts'
import { type LoadOptions, type LoadResult, loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'

/** A certificate and its key, valid in form. */
export const PEM = {
  cert: readFileSync(new URL('fixtures/tls-cert.pem', import.meta.url), 'utf8'),
  key: readFileSync(new URL('fixtures/tls-key.pem', import.meta.url), 'utf8')
}

export const SECRET = 'k7Jm2Qx9Lw4Rt8Yp1Zs6Vb3Nc5Hd0Fg='

/** Top-level sections by name; each can be replaced, and `extra` is added at the end. */
export function configText(
  sections: Partial<Record<'secrets' | 'apps' | 'upstreams' | 'routes', string>> = {},
  extra = ''
): string {
  return `secrets: ${sections.secrets ?? `[${SECRET}]`}
apps: ${sections.apps ?? '[{ appid: wx1234567890abcdef, secret: s3cret }]'}
upstreams: ${sections.upstreams ?? '{ orders: { targets: [{ url: http://127.0.0.1:3000 }] } }'}
routes: ${sections.routes ?? '[{ path: /api, upstream: orders }]'}
${extra}`
}

/** Reads the given files; without any, every file is missing. */
export function files(
  content: Readonly<Record<string, { text: string; mode?: number }>>
): (path: string) => FileContent {
  return (path) => {
    const file = content[path]
    if (file === undefined) throw new FileError('there is no such file')
    return { content: Buffer.from(file.text), mode: file.mode ?? 0o600 }
  }
}

export function load(text: string, options: Partial<LoadOptions> = {}): LoadResult {
  return loadConfig({
    file: 'gateway.yaml',
    cwd: '/etc/wxgate',
    text,
    env: {},
    readFile: files({}),
    production: false,
    allow: new Set(),
    ...options
  })
}

/** Problems in text form; none for a file that is fine. */
export function problems(text: string, options: Partial<LoadOptions> = {}): string[] {
  const result = load(text, options)
  return result.ok ? [] : result.problems.map(formatProblem)
}

export function warnings(text: string, options: Partial<LoadOptions> = {}): string[] {
  return load(text, options).warnings.map(formatProblem)
}
