/** Keys of the records of WeChat's accounts, for tests that build parts of the gateway by hand. */
import { createRecordKeys } from '../../src/identity/record-keys.ts'

export const wechatKeys = createRecordKeys(() => ({
  name: 'wechat',
  unionScope: 'wechat-open',
  ownsFormerKeys: true
}))
