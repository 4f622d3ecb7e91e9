/** Compiles the client into miniprogram_dist and puts a copy where the sample mini-program expects its npm packages. Both are
 *  in the repository, so that they can be used without a build; a test holds them to the source. */
import { execFile } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

const folder = import.meta.dirname

/** @param into A folder that holds nothing else. Rejects with the compiler's words. */
export async function compileClient(into: string): Promise<void> {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  await rm(into, { recursive: true, force: true })
  await promisify(execFile)(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json'), '--outDir', into])
}

if (import.meta.main) {
  const dist = join(folder, 'miniprogram_dist')
  const copy = join(folder, '../examples/miniprogram/miniprogram_npm/wxgate-miniprogram')
  await compileClient(dist)
  await rm(copy, { recursive: true, force: true })
  await cp(dist, copy, { recursive: true, filter: (source) => !source.endsWith('.d.ts') })
}
