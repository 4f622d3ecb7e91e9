import { test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { createUsers } from '../src/identity/users.ts'
import { openStore } from '../src/store/open.ts'
import { wechatKeys } from './support/record-keys.ts'
import { quietLog } from './support/store.ts'

const APP = 'wx1234567890abcdef'
const OLD = 'the-old-secret-of-more-than-32-characters'
const NEW = 'the-new-secret-of-more-than-32-characters'

test('a phone number sealed under an older secret outlives it once its user has logged in', async (t) => {
  const store = await openStore('memory:', { clock: systemClock, log: quietLog() })
  t.teardown(() => store.close())
  const under = (...secrets: string[]) =>
    createUsers({
      store,
      sealer: createSealer(createKeyRing(secrets), 'records'),
      clock: systemClock,
      keys: wechatKeys
    })
  const phone = { phoneNumber: '13800000000', countryCode: '86' }

  for (const openId of ['oReturning', 'oAbsent']) {
    await under(OLD).recordLogin(APP, openId, null)
    await under(OLD).bindPhone(APP, openId, phone)
  }
  await under(NEW, OLD).recordLogin(APP, 'oReturning', null)

  t.same((await under(NEW).find(APP, 'oReturning'))?.phone, phone)
  t.equal((await under(NEW).find(APP, 'oAbsent'))?.phone, null)
  t.equal((await under(NEW).find(APP, 'oAbsent'))?.status, 'bound')
})
