/** Findings of the fuzzers stay fixed, every fuzzer runs, and each can find something. */
import fc from 'fast-check'
import { test } from 'tap'
import { Recogniser } from '../src/fast-lane/recogniser.ts'
import { readRequestHeaders } from '../src/http/headers/request-headers.ts'
import { canonicalPath, PathRefusal } from '../src/http/path/canonical-path.ts'
import { readProxyHeader } from '../src/http/proxy-protocol/proxy-header.ts'
import { decryptOpenData } from '../src/platforms/wechat/open-data-cipher.ts'
import { FUZZERS } from './fuzz/all.ts'
import { faultOf, runCampaign } from './fuzz/campaign.ts'
import type { Fuzzer } from './fuzz/fuzzer.ts'
import { createHeaderFuzzer } from './fuzz/headers.ts'
import { createOpenDataFuzzer } from './fuzz/open-data.ts'
import { createPathFuzzer } from './fuzz/paths.ts'
import { createProxyHeaderFuzzer } from './fuzz/proxy-headers.ts'
import { createRequestFuzzer } from './fuzz/requests.ts'
import { createResponseFuzzer } from './fuzz/responses.ts'
import { SEEDS } from './fuzz/seeds.ts'
import { createTokenFuzzer } from './fuzz/tokens.ts'
import { readPieces } from './support/response-reading.ts'

for (const [name, create] of Object.entries(FUZZERS)) {
  test(`${name}: the kept inputs and a few new ones hold`, async (t) => {
    const fuzzer = await create(t)
    for (const input of SEEDS[name] ?? []) t.equal(await faultOf(fuzzer, input), null, JSON.stringify(input))
    const { finding, runs } = await runCampaign(fuzzer, { seed: 1, time: 10_000, runs: 60 })
    t.equal(finding, null)
    t.equal(runs, 60)
  })
}

test('every list of kept inputs belongs to a fuzzer', async (t) => {
  t.same(Object.keys(SEEDS), Object.keys(FUZZERS))
})

/** Runs until a finding; a fuzzer without one here would find nothing anywhere. */
async function findingOf(fuzzer: unknown): Promise<string> {
  const { finding } = await runCampaign(fuzzer as Fuzzer<never>, { seed: 7, time: 20_000, runs: 20_000 })
  return finding === null ? 'nothing' : `${finding.fault} ${finding.input}`
}

test('a canonicaliser that lets an encoded dot pass is found, and the input is reduced', async (t) => {
  const careless: typeof canonicalPath = (target) => {
    const result = canonicalPath(target)
    const isDots = result instanceof PathRefusal && /%2e/i.test(target) && /^\/[a-z%0-9/]*$/i.test(target)
    return isDots ? { path: target, query: '', needs: 0 } : result
  }
  const found = await findingOf(createPathFuzzer(careless))
  t.match(found, /^public with \{\}|^not idempotent|^its own result|^a path with dot segments/)
  t.ok(found.length < 200, found)
})

test('a header reader that keeps headers named in Connection is found', async (t) => {
  const careless: typeof readRequestHeaders = (raw, options) => {
    const result = readRequestHeaders(raw, options)
    if (result instanceof Error) return result
    const kept = raw.flatMap((name, index) => (index % 2 === 0 && /_/.test(name) ? [name, raw[index + 1] ?? ''] : []))
    return { ...result, kept: [...result.kept, ...kept] }
  }
  t.match(await findingOf(createHeaderFuzzer(careless)), /went upstream/)
})

test('a verifier that ignores bytes after a token is found', async (t) => {
  const fuzzer = await createTokenFuzzer((tokens) => ({
    ...tokens,
    verify: (credential) => tokens.verify(credential.replace(/[=\s]+$/, ''))
  }))
  t.match(await findingOf(fuzzer), /^accepted without being issued/)
})

test('a decryption that ignores the watermark is found', async (t) => {
  const careless: typeof decryptOpenData = (input) =>
    decryptOpenData({ ...input, maxAge: Number.POSITIVE_INFINITY, appId: 'wx1234567890abcdef' }) ?? {
      openId: 'o-alice'
    }
  t.match(await findingOf(createOpenDataFuzzer(careless)), /^data without the right watermark/)
})

test('a reader of responses that takes a NBSP for a blank is found', async (t) => {
  const careless: typeof readPieces = (pieces, options) =>
    readPieces(
      pieces.map((piece) => Buffer.from(piece.toString('latin1').replaceAll('\xa0', ' '), 'latin1')),
      options
    )
  t.match(await findingOf(createResponseFuzzer(careless)), /^fields .* for llhttp/)
})

test('a recogniser that takes a NBSP for a blank, or a bare LF for a line end, is found', async (t) => {
  const recogniser = new Recogniser()
  for (const [byte, other] of [
    [0xa0, 0x20],
    [0x0a, 0x61]
  ] as const) {
    const careless: Pick<Recogniser, 'recognise'> = {
      recognise(chunk, from, end) {
        const bare = (at: number) => chunk[at] === byte && chunk[at - 1] !== 0x0d
        const changed = chunk.map((value, at) => (bare(at) ? other : value))
        return recogniser.recognise(Buffer.from(changed), from, end)
      }
    }
    t.match(await findingOf(createRequestFuzzer(careless)), /llhttp/)
  }
})

test('a reader of PROXY headers that takes a byte too many, or waits for ever, is found', async (t) => {
  const greedy = createProxyHeaderFuzzer((bytes) => {
    const reading = readProxyHeader(bytes)
    return typeof reading === 'string' ? reading : { ...reading, length: reading.length + 1 }
  })
  t.match(await findingOf(greedy), /bytes were read/)
  const patient = createProxyHeaderFuzzer((bytes) => {
    const reading = readProxyHeader(bytes)
    return reading === 'invalid' ? 'incomplete' : reading
  })
  t.match(await findingOf(patient), /^waits for more than 107 bytes/)
})

test('a throw is a finding, and its seed and path lead to the same input again', async (t) => {
  const throwing: Fuzzer<number> = {
    name: 'throwing',
    inputs: fc.nat(1_000),
    check(input) {
      if (input > 100) throw new TypeError('planted')
      return null
    }
  }
  t.match(await findingOf(throwing), /^threw TypeError: planted/)
  const { finding } = await runCampaign(throwing as Fuzzer<never>, { seed: 7, time: 5_000 })
  const again = await runCampaign(throwing as Fuzzer<never>, { seed: 7, time: 5_000, path: finding?.path ?? '' })
  t.equal(again.finding?.input, '101')
})
