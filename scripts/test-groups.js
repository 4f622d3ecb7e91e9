// Groups test files into processes. Starting a process, importing the sources and compiling schemas costs more than
// most tests, so neighbours in the list of files share a process and run in it one after the other.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const FILES_OF_A_GROUP = 8
/** Tests of forwarding and of attacks, which run a second time with the fast lane off. */
const BOTH_LANES =
  /^(?:attack-(?:corpus|framing|headers|paths|upstream)|forwarding|selftest|upstream-headers|round-trips|access-log|time-limits|route-[a-z-]+|channel|field\/bytes|upstream\/hostile-upstream)\.test\.ts$/
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
  const write = (group, name, first) => {
    const number = String(paths.length + 1).padStart(2, '0')
    const path = `${FOLDER}/${number}-${name}.test.js`
    writeFileSync(path, first + group.map((file) => `import '../../test/${file}'\n`).join(''))
    paths.push(path)
  }
  for (const group of inGroups(files)) write(group, basename(group[0], '.test.ts'), '')
  for (const group of inGroups(files.filter((file) => BOTH_LANES.test(file)))) {
    write(group, `general-lane-${basename(group[0], '.test.ts')}`, "import '../../scripts/general-lane.js'\n")
  }
  return paths
}

function inGroups(files) {
  const groups = []
  for (let index = 0; index < files.length; index += FILES_OF_A_GROUP)
    groups.push(files.slice(index, index + FILES_OF_A_GROUP))
  return groups
}
