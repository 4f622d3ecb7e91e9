/** `npm run soak`: bodies of 1 GiB, a crowd of slow requests, and mixed traffic for the given time.
 *  Only on 127.0.0.1. */
import { parseArgs } from 'node:util'
import { type Figure, holds, lineOf } from './figure.ts'
import { soakBodies, soakCrowd } from './limits.ts'
import { soakTraffic } from './traffic.ts'

const USAGE = `Usage: npm run soak -- [--minutes 3] [--only bodies,crowd,traffic]

  --minutes  of the mixed traffic; the other parts take about a minute each

Exits with 1 when a figure is above its limit.
`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    only: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})
const minutes = Number(values.minutes)
const PARTS: Readonly<Record<string, (t: { teardown(fn: () => unknown): void }) => Promise<Figure[]>>> = {
  bodies: soakBodies,
  crowd: soakCrowd,
  traffic: (t) => soakTraffic(t, minutes * 60_000)
}
const names = values.only?.split(',') ?? Object.keys(PARTS)

async function main(): Promise<number> {
  if (values.help || !(minutes > 0 && minutes <= 600) || names.some((name) => !Object.hasOwn(PARTS, name))) {
    process.stderr.write(USAGE)
    return values.help ? 0 : 2
  }
  let isFine = true
  for (const name of names) {
    const ends: (() => unknown)[] = []
    try {
      const figures = (await PARTS[name]?.({ teardown: (fn) => void ends.unshift(fn) })) ?? []
      for (const figure of figures) process.stdout.write(`${lineOf(figure)}\n`)
      isFine &&= figures.every(holds)
    } finally {
      for (const end of ends) await end()
    }
  }
  return isFine ? 0 : 1
}

process.exit(await main())
