// Groups test files into processes. Starting a process, importing the sources and compiling schemas costs more than
// most tests, so neighbours in the list of files share a process.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

/** Files that start processes or wait for time to pass. Several of them run beside each other in one process, in turns with
 *  the groups of others, which use the processor meanwhile. They come first, so that none runs alone at the end. */
const WAITING =
  /^(?:app-checks|attack-(?:framing|upstream)|bin|config-(?:generated-secret|schema)|doctor|followed-files|forward-auth|lifecycle|lifecycle-start|login-(?:codes|hook)|miniprogram-(?:build|retries|session)|orders|package|promises(?:-[a-z]+)?|proxies-in-front|readme|reload|secrets-canary|selftest|service-session-keys|store(?:-[a-z-]+)?|time-limits|websocket(?:-ends)?|wechat-access-token|workers|wxapi-streams|console\/browser|deploy\/(?:observability|start-pages)|fast-lane\/(?:hostile|limits)|field\/(?:descriptors|first-day|live-connections|names|process)|http\/(?:proxy-protocol|tls)|pay\/pay|push\/(?:outage|push)|service\/(?:status|status-workers)|telemetry\/otlp-(?:export|traces)|upstream\/resolver|upstream-field\/[a-z]+)\.test\.ts$/
/** Tests of forwarding and of attacks, which run a second time with the fast lane off. */
const BOTH_LANES =
  /^(?:attack-(?:corpus|framing|headers|paths|upstream)|forwarding|selftest|upstream-headers|round-trips|access-log|time-limits|route-[a-z-]+|channel|field\/bytes|upstream\/hostile-upstream)\.test\.ts$/
/** Tests whose subject is not src, or that send much through lines which other tests cover: coverage would cost up to a
 *  third of their time. The second run with the fast lane off is without it too. */
const UNCOVERED =
  /^(?:attack-(?:corpus|framing|headers|jwt|jwt-forms|paths|upstream)|bin|docker|docs|docs-site|followed-files|former-store|forwarding|fuzz-seeds|http-details|kept-text|lifecycle|lifecycle-start|miniprogram-[a-z-]+|package|promises(?:-[a-z]+)?|proxies-in-front|readme|reload|secrets-canary|selftest|store(?:-[a-z-]+)?|time-limits|upstream-headers|websocket|wechat-(?:proxy|secrets|session)|workers|wxapi[a-z-]*|console\/browser|deploy\/[a-z-]+|fast-lane\/(?:both-lanes|hostile|limits|mixed|uploads)|field\/[a-z-]+|push\/outage|upstream-field\/[a-z]+|upstream\/hostile-upstream)\.test\.ts$/
const FILES_OF_A_GROUP = 24
const WAITING_FILES_OF_A_GROUP = 12
/** Waiting files that run at a time in one process. */
const BESIDE_EACH_OTHER = 3
/** A folder that git does not know, from which two folders up is the root. */
const FOLDER = '.cache/test-groups'

/** Writes one file for each group, and gives their paths. */
export function writeTestGroups() {
  const files = readdirSync('test', { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
  const lists = [
    { name: 'uncovered', files: files.filter((file) => UNCOVERED.test(file)), imports: [] },
    {
      name: 'uncovered-general-lane',
      files: files.filter((file) => BOTH_LANES.test(file)),
      imports: ['scripts/general-lane.js']
    },
    { name: 'covered', files: files.filter((file) => !UNCOVERED.test(file)), imports: [] }
  ]
  const waiting = lists.flatMap((list) => groupsOf(list, true))
  const others = lists.flatMap((list) => groupsOf(list, false))
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  return [...waiting.flatMap((group) => [group, ...others.splice(0, 1)]), ...others].map(writeGroup)
}

/** scripts/test-preload.js reads the word `uncovered` of a name. Groups are of equal size, so that none of a few files
 *  pays for a process of its own. Neighbours in the list often wait for the same, such as a store, so each goes to another
 *  group. */
function groupsOf({ name, files, imports }, isWaiting) {
  const chosen = files.filter((file) => WAITING.test(file) === isWaiting)
  const count = Math.ceil(chosen.length / (isWaiting ? WAITING_FILES_OF_A_GROUP : FILES_OF_A_GROUP))
  return Array.from({ length: count }, (_, group) => ({
    name,
    imports,
    limit: isWaiting ? BESIDE_EACH_OTHER : 1,
    files: chosen.filter((_, index) => index % count === group)
  }))
}

function writeGroup({ name, imports, limit, files }, index) {
  const number = String(index + 1).padStart(2, '0')
  const path = `${FOLDER}/${number}-${name}-${basename(files[0], '.test.ts')}.test.js`
  const lines = [
    ...imports.map((module) => `import '../../${module}'`),
    "import { runTestFiles } from '../../scripts/test-files.js'",
    'const files = [',
    ...files.map((file) => `  new URL('../../test/${file}', import.meta.url),`),
    ']',
    `await runTestFiles(files, ${limit})`
  ]
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}
