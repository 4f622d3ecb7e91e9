/** Compiles the client into miniprogram_dist, which npm publishes, and copies it to the sample
 *  mini-program, which expects its packages in miniprogram_npm. Only miniprogram_dist is in the
 *  repository. */
import { execFile } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

const folder = import.meta.dirname
const dist = join(folder, 'miniprogram_dist')

/** @param into A folder that holds nothing else. Rejects with the compiler's messages. */
export async function compileClient(into: string): Promise<void> {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  await rm(into, { recursive: true, force: true })
  await promisify(execFile)(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json'), '--outDir', into])
}

/** Puts the compiled client where the developer tools look for the packages of a mini-program.
 *  @param project The mini-program's folder. */
export async function installClient(project: string): Promise<void> {
  const copy = join(project, 'miniprogram_npm/wxgate-miniprogram')
  await rm(copy, { recursive: true, force: true })
  await cp(dist, copy, { recursive: true, filter: (source) => !source.endsWith('.d.ts') })
}

if (import.meta.main) {
  await compileClient(dist)
  await installClient(join(folder, '../examples/miniprogram'))
}
