/** Standard output for log lines: nothing is lost, mixed or written twice while memory is used
 *  again. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type Test, test } from 'tap'
import { createOutput, type LogTarget } from '../../src/telemetry/output.ts'

function openFile(t: Test): { target: LogTarget; read: () => string } {
  const file = join(t.testdir({}), 'log')
  const fd = openSync(file, 'a')
  t.teardown(() => closeSync(fd))
  return { target: { fd, stream: new Writable(), isTerminal: false }, read: () => readFileSync(file, 'utf8') }
}

test('a file gets every line once and in order, whatever the alphabet and the length', async (t) => {
  const { target, read } = openFile(t)
  const output = createOutput(target)
  const lines: string[] = []
  for (let n = 0; n < 20_000; n++) {
    const length = n % 5_000 === 0 ? 100_000 : n % 40
    const line = `{"n":${n},"text":"${(n % 3 === 0 ? '订' : 'a').repeat(length)}"}\n`
    lines.push(line)
    output.write(line)
    // Lets a write end, so that its memory takes later lines.
    if (n % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await output.flush()
  t.equal(read() === lines.join(''), true)
})

test('a few lines are written soon, and later lines do not change them', async (t) => {
  const { target, read } = openFile(t)
  const output = createOutput(target)
  output.write('first\n')
  const flushed = output.flush()
  output.write('second\n')
  await flushed
  t.equal(read(), 'first\n')
  await output.flush()
  t.equal(read(), 'first\nsecond\n')
})
