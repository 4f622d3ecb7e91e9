/** `wxgate version`: prints the version. */
import { readFileSync } from 'node:fs'
import type { CliIo } from './io.ts'
import { refuseArguments } from './no-arguments.ts'

const USAGE = `Usage: wxgate version

Prints the version.
`

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const status = refuseArguments('version', USAGE, args, io)
  if (status !== null) return status
  io.stdout(`wxgate ${version()}\n`)
  return 0
}

export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
