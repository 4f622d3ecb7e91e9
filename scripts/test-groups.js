// Groups test files into processes. Starting a process, importing the sources and compiling schemas costs more than
// most tests, so neighbours in the list of files share a process and run in it one after the other.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const FILES_OF_A_GROUP = 8
/** A folder that git does not know, from which two folders up is the root. */
const FOLDER = '.cache/test-groups'

/** Writes one file for each group, and gives their paths. */
export function writeTestGroups() {
  const files = readdirSync('test', { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  const paths = []
  for (let index = 0; index < files.length; index += FILES_OF_A_GROUP) {
    const group = files.slice(index, index + FILES_OF_A_GROUP)
    const number = String(paths.length + 1).padStart(2, '0')
    const path = `${FOLDER}/${number}-${basename(group[0], '.test.ts')}.test.js`
    writeFileSync(path, group.map((file) => `import '../../test/${file}'\n`).join(''))
    paths.push(path)
  }
  return paths
}
