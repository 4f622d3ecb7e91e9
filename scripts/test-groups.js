// Groups test files into processes. Starting a process, importing the sources and compiling schemas costs more than
// most tests, so neighbours in the list of files share a process and run in it one after the other.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const FILES_OF_A_GROUP = 12
/** Files that take long: they start processes and wait for them. They come first, so that none runs alone at the end,
 *  and in turns with the others, which use the processor meanwhile. */
const SLOW =
  /^(?:bin|lifecycle|lifecycle-start|package|promises|promises-kill|readme|reload|workers|websocket|time-limits|console\/browser|deploy\/(?:observability|start-pages)|fast-lane\/limits|field\/(?:descriptors|first-day|live-connections|process)|push\/outage|store(?:-[a-z-]+)?|upstream-field\/[a-z]+)\.test\.ts$/
const SLOW_FILES_OF_A_GROUP = 4
/** Tests of forwarding and of attacks, which run a second time with the fast lane off. */
const BOTH_LANES =
  /^(?:attack-(?:corpus|framing|headers|paths|upstream)|forwarding|selftest|upstream-headers|round-trips|access-log|time-limits|route-[a-z-]+|channel|field\/bytes|upstream\/hostile-upstream)\.test\.ts$/
/** Tests whose subject is not src, or that send much through lines which other tests cover: coverage would cost up to a
 *  third of their time. Slow tests and the second run with the fast lane off are without it too. */
const UNCOVERED =
  /^(?:miniprogram-[a-z-]+|docker|docs|docs-site|fuzz-seeds|kept-text|followed-files|former-store|forwarding|http-details|upstream-headers|wechat-(?:proxy|secrets|session)|wxapi[a-z-]*|deploy\/[a-z-]+|field\/[a-z-]+|fast-lane\/uploads)\.test\.ts$/
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
  const write = ({ name, files, imports }) => {
    const number = String(paths.length + 1).padStart(2, '0')
    const path = `${FOLDER}/${number}-${name}-${basename(files[0], '.test.ts')}.test.js`
    const modules = [...imports, ...files.map((file) => `test/${file}`)]
    writeFileSync(path, modules.map((module) => `import '../../${module}'\n`).join(''))
    paths.push(path)
  }
  const isSlow = (file) => SLOW.test(file)
  const isUncovered = (file) => UNCOVERED.test(file)
  const others = files.filter((file) => !isSlow(file))
  const quick = [
    ...inGroups(
      files.filter((file) => BOTH_LANES.test(file)),
      FILES_OF_A_GROUP,
      { name: 'uncovered-general-lane', imports: ['scripts/general-lane.js'] }
    ),
    ...inGroups(others.filter(isUncovered), FILES_OF_A_GROUP, { name: 'uncovered', imports: [] }),
    ...inGroups(
      others.filter((file) => !isUncovered(file)),
      FILES_OF_A_GROUP,
      { name: 'covered', imports: [] }
    )
  ]
  const slow = inGroups(files.filter(isSlow), SLOW_FILES_OF_A_GROUP, { name: 'uncovered', imports: [] })
  for (const group of [...slow.flatMap((group) => [group, ...quick.splice(0, 1)]), ...quick]) write(group)
  return paths
}

/** scripts/test-preload.js reads the word `uncovered` of a name. Groups are of equal size, so that none of a few files
 *  pays for a process of its own. */
function inGroups(files, limit, about) {
  const size = Math.ceil(files.length / Math.ceil(files.length / limit))
  const groups = []
  for (let index = 0; index < files.length; index += size)
    groups.push({ ...about, files: files.slice(index, index + size) })
  return groups
}
