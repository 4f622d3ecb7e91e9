/** Programs of the machine that tests start. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/opt/homebrew/bin']

/** Null, with a comment, when this machine does not have it; in CI that is a failure. */
export function findProgram(t: Test, name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...FOLDERS]
  const file = folders.map((folder) => join(folder, name)).find(existsSync)
  if (file) return file
  if (process.env.CI) t.fail(`${name} is not installed`)
  else t.comment(`NOT TESTED: ${name} is not installed`)
  return null
}
