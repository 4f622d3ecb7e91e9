/** `wxgate schema`: prints the JSON Schema of gateway.yaml for editors. */
import { publishedSchema } from '../config/published-schema.ts'
import type { CliIo } from './io.ts'
import { refuseArguments } from './no-arguments.ts'

const USAGE = `Usage: wxgate schema

Prints the JSON Schema of gateway.yaml.
`

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const status = refuseArguments('schema', USAGE, args, io)
  if (status !== null) return status
  io.stdout(`${JSON.stringify(publishedSchema(), null, 2)}\n`)
  return 0
}
