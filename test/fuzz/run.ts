/** `npm run fuzz`: searches for inputs that break a rule, for the given time. Only on 127.0.0.1. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { FUZZERS } from './all.ts'
import { runCampaign } from './campaign.ts'

const USAGE = `Usage: npm run fuzz -- [--minutes 1] [--seed N] [--only NAME[,NAME]] [--path PATH]

  --minutes  of all fuzzers together
  --seed     the same seed gives the same inputs
  --only     ${Object.keys(FUZZERS).join(', ')}
  --path     with --seed and --only: one finding again

Exits with 1 when something was found.
`

/** Milliseconds beyond the given time, for reducing inputs and closing. */
const SLACK = 120_000

const print = (text: string) => void process.stdout.write(`${text}\n`)

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string' },
      only: { type: 'string' },
      path: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const minutes = Number(values.minutes)
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const names = values.only?.split(',') ?? Object.keys(FUZZERS)
  const unknown = names.filter((name) => !Object.hasOwn(FUZZERS, name))
  if (values.help || unknown.length > 0 || !(minutes > 0 && minutes <= 600) || !Number.isSafeInteger(seed)) {
    process.stderr.write(USAGE)
    return values.help ? 0 : 2
  }
  const time = (minutes * 60_000) / names.length
  // Ends the process even when a fuzzer hangs.
  setTimeout(
    () => {
      process.stderr.write('fuzz: did not end by itself\n')
      process.exit(1)
    },
    minutes * 60_000 + SLACK
  ).unref()
  print(`seed ${seed}`)
  let findings = 0
  for (const name of names) {
    const ends: (() => unknown)[] = []
    const fuzzer = await FUZZERS[name]?.({ teardown: (fn) => void ends.unshift(fn) })
    if (!fuzzer) continue
    const { runs, perSecond, finding } = await runCampaign(fuzzer, {
      seed,
      time,
      ...(values.path === undefined ? {} : { path: values.path })
    })
    for (const end of ends) await end()
    print(
      `${name.padEnd(10)} ${String(runs).padStart(9)} inputs ${String(perSecond).padStart(8)} per second   ${finding ? 'FOUND' : 'ok'}`
    )
    if (!finding) continue
    findings++
    print(`\n  ${finding.fault.replaceAll('\n', '\n  ')}\n`)
    print(`  input:  ${finding.input}`)
    print(`  replay: npm run fuzz -- --only ${name} --seed ${finding.seed} --path ${finding.path}`)
    print(`  keep:   add the input to test/fuzz/seeds.ts under ${JSON.stringify(name)}\n`)
  }
  return findings > 0 ? 1 : 0
}
