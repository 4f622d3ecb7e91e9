// Groups test files into processes. Starting a process, importing the sources and compiling schemas
// costs more than most tests, so neighbours in the list of files share a process.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

/** Files that start processes or wait for time to pass. Several of them run beside each other in
 *  one process, in turns with the groups of others, which use the processor meanwhile. They come
 *  first, so that none runs alone at the end. */
const isWaiting = named(`
  app-checks attack-framing attack-upstream bin config-generated-secret config-schema doctor followed-files forward-auth
  lifecycle* login-codes login-hook miniprogram-build miniprogram-retries miniprogram-session orders package promises*
  proxies-in-front readme reload secrets-canary selftest service-session-keys store store-* time-limits websocket*
  wechat-access-token workers wxapi-streams
  console/browser deploy/observability deploy/start-pages fast-lane/hostile fast-lane/limits field/descriptors
  field/first-day field/live-connections field/names field/process http/proxy-protocol http/tls pay/pay push/outage push/push
  service/status* telemetry/otlp-* upstream/resolver upstream-field/*`)
/** Tests of forwarding and of attacks, which run a second time with the fast lane off. */
const isOfBothLanes = named(`
  access-log attack-corpus attack-framing attack-headers attack-paths attack-upstream channel forwarding round-trips route-*
  selftest time-limits upstream-headers field/bytes upstream/hostile-upstream`)
/** Tests whose subject is not src, or that send much through lines which other tests cover:
 *  coverage would cost up to a fifth of their time. The second run with the fast lane off is
 *  without it too. */
const isUncovered = named(`
  attack-corpus attack-framing attack-headers attack-jwt* attack-paths attack-upstream bin docker docs docs-site
  followed-files former-store forwarding fuzz-seeds http-details kept-text lifecycle* miniprogram-* package promises*
  proxies-in-front readme reload secrets-canary selftest store store-* time-limits upstream-headers websocket wechat-proxy
  wechat-secrets wechat-session workers wxapi*
  console/browser deploy/* fast-lane/both-lanes fast-lane/hostile fast-lane/limits fast-lane/mixed fast-lane/uploads field/*
  push/outage upstream-field/* upstream/hostile-upstream`)
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
    { name: 'uncovered', files: files.filter(isUncovered), imports: [] },
    {
      name: 'uncovered-general-lane',
      files: files.filter(isOfBothLanes),
      imports: ['scripts/general-lane.js']
    },
    { name: 'covered', files: files.filter((file) => !isUncovered(file)), imports: [] }
  ]
  const waiting = lists.flatMap((list) => groupsOf(list, true))
  const others = lists.flatMap((list) => groupsOf(list, false))
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  return [...waiting.flatMap((group) => [group, ...others.splice(0, 1)]), ...others].map(writeGroup)
}

/** Tells whether a file is in the list. A star at the end of a name stands for any end. */
function named(list) {
  const names = list.trim().split(/\s+/)
  return (file) => {
    const path = file.replace(/\.test\.ts$/, '')
    return names.some((name) => (name.endsWith('*') ? path.startsWith(name.slice(0, -1)) : path === name))
  }
}

/** scripts/test-preload.js reads the word `uncovered` of a name. Groups are of equal size, so that
 *  none of a few files pays for a process of its own. Neighbours in the list often wait for the
 *  same, such as a store, so each goes to another group. */
function groupsOf({ name, files, imports }, areWaiting) {
  const chosen = files.filter((file) => isWaiting(file) === areWaiting)
  const count = Math.ceil(chosen.length / (areWaiting ? WAITING_FILES_OF_A_GROUP : FILES_OF_A_GROUP))
  return Array.from({ length: count }, (_, group) => ({
    name,
    imports,
    limit: areWaiting ? BESIDE_EACH_OTHER : 1,
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
