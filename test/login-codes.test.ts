/** Login codes in the hands of instances that die, or of a store in trouble. */
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { StoreError } from '../src/errors.ts'
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
  const instance = (own: Store = store) => createLoginCodes({ store: own, timeout: 60_000 })
  const steps = (exchange: () => Promise<LoginResult>) => ({
    admit: async () => undefined,
    exchange,
    isAlive: async () => true
  })
  return { clock, store, instance, steps }
}

test('a claim whose holder died, or never heard of it, frees the code for the next attempt within seconds', async (t) => {
  const { clock, store, instance, steps } = build()
  const troubled: Store = {
    ...store,
    async setIfAbsent(key, value, ttl) {
      await store.setIfAbsent(key, value, ttl)
      throw new StoreError('no answer in time')
    }
  }
  const first = instance(troubled).once(
    APPID,
    'code',
    steps(async () => RESULT)
  )
  await t.rejects(first, { name: 'StoreError' })
  let exchanges = 0
  const retry = instance().once(
    APPID,
    'code',
    steps(async () => {
      exchanges++
      return RESULT
    })
  )
  await delay(120)
  t.equal(exchanges, 0, 'somebody may be at it')
  clock.advance(3_000)
  t.equal(await retry, RESULT)
  t.equal(exchanges, 1)
})

test('a claim lasts for as long as its holder is at work', async (t) => {
  const { clock, instance, steps } = build()
  let finish = (_result: LoginResult) => {}
  const slow = new Promise<LoginResult>((resolve) => {
    finish = resolve
  })
  const first = instance().once(
    APPID,
    'code',
    steps(() => slow)
  )
  await delay(20)
  const second = instance().once(
    APPID,
    'code',
    steps(async () => t.fail('exchanged twice') as never)
  )
  for (let round = 0; round < 2; round++) {
    clock.advance(2_500)
    await delay(1_300)
  }
  finish(RESULT)
  t.same(await Promise.all([first, second]), [RESULT, RESULT])
})
