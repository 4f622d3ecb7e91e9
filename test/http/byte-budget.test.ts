/** Bodies that are held take a bounded number of bytes together. */
import { test } from 'tap'
import { createByteBudget } from '../../src/http/body/byte-budget.ts'

test('bodies share one limit, and a body that is released makes room', (t) => {
  const budget = createByteBudget(100)
  const [first, second] = [budget.open(), budget.open()]
  t.equal(first.hold(40), true)
  t.equal(first.hold(60), true, 'the same body has grown')
  t.equal(second.hold(50), false)
  t.equal(second.hold(40), true)
  first.release()
  first.release()
  t.equal(second.hold(100), true)
  t.equal(second.hold(101), false)
  t.equal(budget.open().hold(1), false)
  t.end()
})
