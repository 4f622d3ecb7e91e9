/** Login codes held by instances that die, or in a failing store. */
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { ApiError, StoreError } from '../src/errors.ts'
import { createLoginCodes, type LoginResult } from '../src/login/login-codes.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import type { Store } from '../src/store/port.ts'
import { createTestClock } from './support/clock.ts'
import { APPID } from './support/gateway.ts'
import { quietLog } from './support/store.ts'

const RESULT = { isNew: true } as LoginResult

function build() {
  const clock = createTestClock()
  const store = createMemoryStore({ clock, log: quietLog() })
  const open = (own: Store = store, attempt: string | null = null) =>
    createLoginCodes({ store: own, timeoutMs: 60_000, repeatWindowMs: 10_000, onForeignRepeat: () => {} }).open(
      APPID,
      'code',
      attempt
    )
  return { clock, store, open }
}

test('a claim whose holder died, or never learned of it, frees the code for the next attempt within seconds', async (t) => {
  const { clock, store, open } = build()
  const troubled: Store = {
    ...store,
    async setIfAbsent(key, value, ttl) {
      await store.setIfAbsent(key, value, ttl)
      throw new StoreError('no answer in time')
    }
  }
  await t.rejects(open(troubled).take(), { name: 'StoreError' })
  const retry = open()
  t.equal(await retry.take(), false)
  let isClaimed = false
  const waiting = retry.wait().then((earlier) => {
    isClaimed = true
    return earlier
  })
  await delay(120)
  t.equal(isClaimed, false, 'its holder may be at work')
  clock.advance(3_000)
  t.equal(await waiting, null)
  await retry.release()
})

test('a claim lasts while its holder works', async (t) => {
  const { clock, open } = build()
  const [first, second] = [open(), open()]
  t.equal(await first.take(), true)
  t.equal(await second.take(), false)
  const waiting = second.wait()
  for (let round = 0; round < 2; round++) {
    clock.advance(2_500)
    await delay(1_300)
  }
  await first.settle(RESULT)
  t.match(await waiting, { result: RESULT })
})

test('a failure that another attempt cannot repair is the answer for every sender; any other frees the code', async (t) => {
  for (const [code, isKept] of [
    ['code_used', true],
    ['wechat_unavailable', false]
  ] as const) {
    const { open } = build()
    const [first, second] = [open(), open()]
    await first.take()
    await first.fail(new ApiError(code, 'said so'))
    if (isKept) await t.rejects(second.wait(), { code })
    else t.equal(await second.take(), true)
    await second.release()
  }
})

test('of any number of callers that find an answer no longer valid one replaces it', async (t) => {
  const { open } = build()
  const first = open()
  await first.take()
  await first.settle(RESULT)
  const others = Array.from({ length: 10 }, () => open())
  const replaced = await Promise.all(
    others.map(async (one) => {
      const earlier = await one.wait()
      return earlier !== null && (await one.replace(earlier))
    })
  )
  t.equal(replaced.filter(Boolean).length, 1)
  await Promise.all(others.map((one) => one.release()))
})

test('a repeat with another attempt is code_used, before and after the first one is done', async (t) => {
  const { store, open } = build()
  const [first, foreign, unnamed, same] = [
    open(store, 'attempt-of-the-sender'),
    open(store, 'attempt-of-a-stranger'),
    open(),
    open(store, 'attempt-of-the-sender')
  ]
  t.equal(await first.take(), true)
  await t.rejects(foreign.wait(), { code: 'code_used' })
  await first.settle(RESULT)
  await t.rejects(foreign.wait(), { code: 'code_used' })
  await t.rejects(unnamed.wait(), { code: 'code_used' })
  t.match(await same.wait(), { result: RESULT })
})
