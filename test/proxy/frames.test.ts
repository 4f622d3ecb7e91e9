/** The frames of a WebSocket are followed in any pieces. */
import fc from 'fast-check'
import { test } from 'tap'
import { closeFrame, FrameTracker, maskedCloseFrame } from '../../src/proxy/frames.ts'

function frame(length: number, isMasked: boolean): Buffer {
  const mask = isMasked ? 0x80 : 0
  const head =
    length < 126
      ? Buffer.from([0x82, mask | length])
      : length < 65_536
        ? Buffer.from([0x82, mask | 126, length >> 8, length & 0xff])
        : Buffer.from([0x82, mask | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff])
  return Buffer.concat([head, Buffer.alloc((isMasked ? 4 : 0) + length, 0x82)])
}

const lengths = fc.oneof(fc.nat(300), fc.constantFrom(0, 125, 126, 65_535, 65_536))

test('a tracker is at a boundary exactly where a frame ends', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(lengths, fc.boolean()), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 700 }),
      (list, step) => {
        const frames = list.map(([length, isMasked]) => frame(length, isMasked))
        const bytes = Buffer.concat(frames)
        const ends = new Set<number>()
        let end = 0
        for (const one of frames) {
          end += one.length
          ends.add(end)
        }
        const tracker = new FrameTracker()
        for (let start = 0; start < bytes.length; start += step) {
          const stop = Math.min(start + step, bytes.length)
          tracker.track(bytes.subarray(start, stop))
          if (tracker.isAtBoundary !== ends.has(stop)) return false
        }
        return true
      }
    )
  )
  t.end()
})

test('trackFrame stops after the first frame that ends', (t) => {
  const tracker = new FrameTracker()
  const bytes = Buffer.concat([frame(3, false), frame(200, true), frame(0, false)])
  t.equal(tracker.trackFrame(bytes.subarray(0, 2), 0), -1)
  t.equal(tracker.trackFrame(bytes.subarray(2), 0), 3)
  t.equal(tracker.trackFrame(bytes.subarray(5), 0), 208)
  t.equal(tracker.trackFrame(bytes.subarray(213), 0), 2)
  t.ok(tracker.isAtBoundary)
  t.end()
})

test('close frames carry their code, masked towards a server', (t) => {
  t.same([...closeFrame(1001)], [0x88, 2, 0x03, 0xe9])
  t.same([...closeFrame(4401)], [0x88, 2, 0x11, 0x31])
  t.same([...maskedCloseFrame(1001)], [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9])
  t.end()
})
