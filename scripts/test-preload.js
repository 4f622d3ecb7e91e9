import asyncHooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import { setFlagsFromString } from 'node:v8'

// Runs first in each process of a test run. Tap records each module that a process loads and reads
// its source map, which takes half of the time in which a process starts. Modules of packages do
// not count for coverage, so they are left out; one is not, because tap starts to record with the
// first module that counts, and has to start before the test file.
const FIRST = String.raw`@tapjs[\\/]mock[\\/]dist[\\/]esm[\\/]import\.mjs`
process.env._TAPJS_PROCESSINFO_EXCLUDE_ = String(
  new RegExp(String.raw`^(node|tapmock):|[\\/](node_modules[\\/](?!${FIRST})|(\.tap|tap-snapshots)[\\/])`)
)

// Tap attributes an exception outside a test's promise to the test by an asynchronous hook, which
// then follows every promise of the gateway: an eighth of the processor time. Without the hook such
// an exception ends the process with its stack, and the file fails.
asyncHooks.createHook = () => ({ enable() {}, disable() {} })
syncBuiltinESMExports()

// Two groups keep both processors busy: collecting garbage on several threads makes them wait for
// each other.
setFlagsFromString('--single-threaded-gc')

// Groups of scripts/test-groups.js that are run without coverage.
if (/[\\/]\d+-uncovered-/.test(process.argv[1] ?? '')) process.env._TAPJS_PROCESSINFO_COVERAGE_ = '0'
