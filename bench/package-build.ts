/** Builds the package as npm and the image hold it: a bundle, without the sources. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from '../scripts/build.ts'
import { type Build, OWN_BUILD } from './wxgate.ts'

export async function buildPackage(folder: string): Promise<Build> {
  const root = join(folder, 'package')
  await bundle(join(root, 'dist'))
  for (const name of ['bin', 'config', 'package.json']) {
    cpSync(join(OWN_BUILD.root, name), join(root, name), { recursive: true })
  }
  return { ...OWN_BUILD, root }
}
