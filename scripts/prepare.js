// After an install: tap builds its test class once for the plugins that .taprc names, or the first `npm test` would load
// tests with the ones it ships with. Without development packages there is nothing to do.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

if (existsSync(new URL('../node_modules/tap/package.json', import.meta.url))) {
  const { status } = spawnSync('tap', ['build'], { stdio: 'inherit', shell: process.platform === 'win32' })
  process.exitCode = status ?? 1
}
