/** `wxgate init`: writes files to start from. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CliIo } from './io.ts'
import { refuseArguments } from './no-arguments.ts'

const USAGE = `Usage: wxgate init

Writes gateway.yaml and .env.example, with comments, into this folder. A file that exists is left as it is.
`

const PACKAGED = new URL('../../config/', import.meta.url)
const FILES = { 'gateway.yaml': 'starter/gateway.yaml', '.env.example': 'starter/env.example' } as const

/** 0 also when there was nothing to write; 1 when the folder cannot be written. */
export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const status = refuseArguments('init', USAGE, args, io)
  if (status !== null) return status
  for (const [name, source] of Object.entries(FILES)) {
    const content = readFileSync(new URL(source, PACKAGED), 'utf8').replace(
      '$schema=SCHEMA',
      `$schema=${schemaFor(io.cwd)}`
    )
    try {
      // With flag wx an existing file is an error, even one created at this moment.
      writeFileSync(join(io.cwd, name), content, { flag: 'wx' })
      io.stdout(`${name}: written\n`)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'EEXIST') {
        io.stderr(`wxgate init: cannot write ${name} into ${io.cwd} (${code})\n`)
        return 1
      }
      io.stdout(`${name}: exists and is left as it is\n`)
    }
  }
  io.stdout(`
Next: copy .env.example to .env and fill it in (npx wxgate keygen prints a secret), then

  set -a; . ./.env; set +a
  npx wxgate validate && npx wxgate doctor && npx wxgate run
`)
  return 0
}

/** The schema inside the installed package, if it is below this folder; else the file that
 *  \`wxgate schema\` can make. */
function schemaFor(cwd: string): string {
  const path = relative(cwd, fileURLToPath(new URL('gateway.schema.json', PACKAGED)))
  const isBelow = !path.startsWith('..') && !path.startsWith(sep) && !/^[A-Za-z]:/.test(path)
  return `./${isBelow ? path.replaceAll(sep, '/') : 'gateway.schema.json'}`
}
