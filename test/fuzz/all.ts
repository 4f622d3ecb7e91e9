/** All fuzzers. */
import { createConfigFuzzer } from './configs.ts'
import type { Fuzzer, Scope } from './fuzzer.ts'
import { createHeaderFuzzer } from './headers.ts'
import { createOpenDataFuzzer } from './open-data.ts'
import { createPathFuzzer } from './paths.ts'
import { createProxyHeaderFuzzer } from './proxy-headers.ts'
import { createRequestFuzzer } from './requests.ts'
import { createResponseFuzzer } from './responses.ts'
import { createTokenFuzzer } from './tokens.ts'
import { createWeChatFuzzer } from './wechat.ts'
import { createWireFuzzer } from './wire.ts'

type Create = (scope: Scope) => Fuzzer<never> | Promise<Fuzzer<never>>

export const FUZZERS: Readonly<Record<string, Create>> = {
  paths: () => createPathFuzzer() as Fuzzer<never>,
  headers: () => createHeaderFuzzer() as Fuzzer<never>,
  tokens: () => createTokenFuzzer() as Promise<Fuzzer<never>>,
  configs: () => createConfigFuzzer() as Fuzzer<never>,
  'open-data': () => createOpenDataFuzzer() as Fuzzer<never>,
  'proxy-headers': () => createProxyHeaderFuzzer() as Fuzzer<never>,
  requests: () => createRequestFuzzer() as Fuzzer<never>,
  responses: () => createResponseFuzzer() as Fuzzer<never>,
  wechat: (scope) => createWeChatFuzzer(scope) as Promise<Fuzzer<never>>,
  wire: (scope) => createWireFuzzer(scope) as Promise<Fuzzer<never>>
}
