/** Sends a backend's call to api.weixin.qq.com with the app's access token, and returns the
 *  answer. */
import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import { ApiError } from '../../errors.ts'
import { createSpellings } from '../../http/headers/spellings.ts'
import type { Tracer } from '../../http/tracer.ts'
import type { Log } from '../../telemetry/log.ts'
import type { EgressAnswer, EgressCall, EgressCapability, PlatformApp } from '../port.ts'
import type { SealedCall, Signer } from './api-signature/signer.ts'
import type { ApiTokens } from './api-tokens.ts'
import { ask } from './ask.ts'
import { createBases, type WeChatAddress } from './bases.ts'
import { ConnectFailure, isOwnFault } from './connector.ts'
import { createAnswerReader, refusalEnd, signedEnd } from './egress-answer.ts'
import { chooseApp, judgePath, withAccessToken } from './egress-paths.ts'
import { isTokenErrcode } from './errcodes.ts'
import { TransportFailure } from './send-once.ts'
import { unavailable } from './transport.ts'

/** Headers that WeChat's API reads, those of API signatures last. Drops cookies and the headers
 *  of proxies and tracing. Drops Accept-Encoding, so that an answer comes uncompressed and a
 *  refusal can be recognised. */
const PASSED_ON =
  /^(?:accept|accept-language|content-type|content-encoding|content-disposition|range|user-agent|if-[a-z-]+|wechatmp-[a-z-]+)$/i

const UNSIGNED = new ApiError('upstream_invalid', 'The answer of WeChat is not signed as this mini-program requires.')

export interface EgressOptions extends WeChatAddress {
  /** Milliseconds to the head of the answer after the request, and between two pieces of its
   *  body. */
  readonly timeout: number
  /** Resolves the names of the API bases or of the proxy. */
  readonly lookup: LookupFunction
  readonly log: Pick<Log, 'warn'>
  readonly tracer?: Pick<Tracer, 'calls'>
  readonly apiTokens: ApiTokens
  readonly signer: Signer
}

export function createEgress(options: EgressOptions): EgressCapability & { close(): Promise<void> } {
  const { timeout, apiTokens, signer, log } = options
  const bases = createBases({
    ...options,
    connectTimeoutMs: Math.max(100, Math.floor(timeout * 0.4)),
    // Each app and each caller has a limit of its own: a queue here would let them block others.
    pool: { connections: null, headersTimeout: timeout, bodyTimeout: timeout }
  })
  const readAnswer = createAnswerReader()
  const isPassedOn = createSpellings((name) => PASSED_ON.test(name))
  const judgePlain = createSpellings((path) => judgePath(path, 0))
  const isUnsent = (error: unknown) => error instanceof ConnectFailure
  const rejection = { isRejected: ({ errcode }: EgressAnswer) => isTokenErrcode(errcode) }

  function passedOn(headers: readonly string[]): string[] {
    const passed: string[] = []
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const name = headers[index] as string
      if (isPassedOn(name)) passed.push(name, headers[index + 1] as string)
    }
    return passed
  }

  async function send(app: PlatformApp, call: EgressCall, token: string): Promise<EgressAnswer> {
    const { method, path, query, caller } = call
    const sealed = signer.seal(app, call, query, call.body)
    const passed = passedOn(call.headers)
    const headers = sealed === null ? passed : withSeal(passed, sealed.headers)
    const target = `${path}${withAccessToken(sealed === null ? query : '', token)}`
    const request = { method: method as Dispatcher.HttpMethod, headers, body: sealed?.body ?? call.body }
    const limit = sealed === null ? refusalEnd(timeout) : signedEnd
    try {
      const answer = await bases.reach(
        ({ pool, path: base }) => ask(pool, { ...request, path: base + target }, limit, caller),
        isUnsent,
        performance.now() + timeout,
        { method, path }
      )
      return readAnswer(answer, { token, requestId: call.requestId, sealed })
    } catch (error) {
      // Errors of undici can hold the request line with the token.
      if (error instanceof ConnectFailure || error instanceof TransportFailure)
        log.warn({ call: path, reason: error.reason }, 'WeChat gave no valid answer')
      if (error instanceof TransportFailure) throw UNSIGNED
      throw error instanceof ApiError || isOwnFault(error) ? error : unavailable()
    }
  }

  return {
    judge: (path, needs) => (needs === 0 ? judgePlain(path) : judgePath(path, needs)),
    chooseApp,
    forward: (app, call) => apiTokens.withAccessToken(app, (token) => send(app, call, token), rejection),
    close: () => bases.close()
  }
}

/** The headers of the call with those of its seal in place of the caller's. */
function withSeal(headers: readonly string[], seal: SealedCall['headers']): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string
    if (!Object.hasOwn(seal, name.toLowerCase())) kept.push(name, headers[index + 1] as string)
  }
  return [...kept, ...Object.entries(seal).flat()]
}
