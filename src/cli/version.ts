/** `wxgate version`. */
import { readFileSync } from 'node:fs'
import type { CliIo } from './io.ts'

export async function run(_args: readonly string[], io: CliIo): Promise<number> {
  io.stdout(`wxgate ${version()}\n`)
  return 0
}

export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
