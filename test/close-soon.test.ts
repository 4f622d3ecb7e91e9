import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { closeSoon } from '../src/http/answer/send-problem.ts'

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test('a connection that closes before or after the call ends the timer of its lingering close', async (t) => {
  const closed = new PassThrough()
  closed.destroy()
  await once(closed, 'close')
  const before = timers()
  closeSoon(closed)
  t.equal(timers(), before, 'closed before the call')
  const open = new PassThrough()
  closeSoon(open)
  t.equal(timers(), before + 1)
  open.destroy()
  await once(open, 'close')
  // Timers of earlier tests may end meanwhile.
  t.ok(timers() <= before, 'closed after the call')
})
