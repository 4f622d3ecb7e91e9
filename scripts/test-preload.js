// Runs first in each process of a test run. Tap records each module that a process loads and reads
// its source map, which takes half of the time in which a process starts. Modules of packages do
// not count for coverage, so they are left out; one is not, because tap starts to record with the
// first module that counts, and has to start before the test file.
const FIRST = String.raw`@tapjs[\\/]mock[\\/]dist[\\/]esm[\\/]import\.mjs`
process.env._TAPJS_PROCESSINFO_EXCLUDE_ = String(
  new RegExp(String.raw`^(node|tapmock):|[\\/](node_modules[\\/](?!${FIRST})|(\.tap|tap-snapshots)[\\/])`)
)
