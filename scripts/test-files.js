// Runs several test files in this process: some files beside each other, the tests of a file one
// after the other. A test that waits leaves the processor to another file. Tap itself runs either
// all tests of a process in a row or any of them at once, and tests of one file often share a
// gateway.
import { t as tap } from 'tap'

/** More than run at any time: the limit is that of `runTestFiles`. */
const ANY_NUMBER = 1000

/** @param {readonly URL[]} files They start in this order.
 *  @param {number} limit Files that run at a time. */
export async function runTestFiles(files, limit) {
  const waiting = []
  for (const file of files) waiting.push(await testsOf(file))
  tap.jobs = ANY_NUMBER
  await runInTurns(waiting, limit, (file) => runInTurns(file.tests, file.limit, (test) => tap.sub(...test)))
}

/** The tests that a file defines, none of them started, and how many of them it wants to run at a
 *  time. */
async function testsOf(file) {
  const { sub } = tap
  const tests = []
  tap.jobs = 1
  tap.sub = (...test) => {
    tests.push(test)
    return Promise.resolve()
  }
  try {
    await import(file.href)
  } finally {
    tap.sub = sub
  }
  if (tests.length === 0) throw new Error(`${file} defines no test.`)
  return { tests, limit: tap.jobs }
}

/** Takes items from the front of the list, `limit` of them at a time. */
async function runInTurns(items, limit, run) {
  const runNext = async () => {
    for (let item = items.shift(); item !== undefined; item = items.shift()) await run(item)
  }
  await Promise.all(Array.from({ length: limit }, runNext))
}
