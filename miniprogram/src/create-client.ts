/** Builds clients: wx's own calls with a login behind them, and the gateway's endpoints. */
import { type Account, createAccount } from './account'
import { withChannel } from './channel'
import type { Callbacks, Client, Phone, RequestOptions, SessionInfo } from './client'
import { createError, type WxgateError } from './errors'
import { createExchange, type ExchangeOptions } from './exchange'
import { type ClientOptions, readOptions, type Settings } from './options'
import { followRedirects } from './redirects'
import { createRuntime, type Runtime } from './runtime'
import { createSessionCalls } from './session-calls'
import { openSocket } from './sockets'
import { createStorage } from './storage'
import { createTask, type Task } from './task'
import { after } from './timers'
import { createTransport, type Send, type Transport, type WxResult } from './transport'
import { createUserKeys, type UserKeys } from './user-keys'
import type { Wx, WxMethod, WxRequestOptions, WxRequestResult } from './wx'

/** State of one `wx` that its clients share. */
interface Shared {
  readonly runtime: Runtime
  readonly transport: Transport
  readonly userKeys: UserKeys
  /** By storage key, gateway and appid. Clients with the same three must not use up each
   *  other's refresh token. */
  readonly accounts: { [id: string]: Account }
  /** Those whose access tokens WeChat gets for data pre-fetch. */
  readonly prefetching: { [id: string]: boolean }
}

/** Clients of one factory and one `wx` share WeChat's limits, and their session when they have
 *  the same options. */
export function createClientFactory(getGlobalWx: () => unknown): (options: ClientOptions) => Client {
  const known: Shared[] = []

  function sharedOf(wx: Wx): Shared {
    for (const shared of known) if (shared.runtime.wx === wx) return shared
    const runtime = createRuntime(wx)
    const shared: Shared = {
      runtime,
      transport: createTransport(wx, runtime.requests),
      userKeys: createUserKeys(wx),
      accounts: {},
      prefetching: {}
    }
    known.push(shared)
    return shared
  }

  return (options) => {
    const settings = readOptions(options, getGlobalWx())
    return createClient(settings, sharedOf(settings.wx))
  }
}

function createClient(settings: Settings, shared: Shared): Client {
  const { urls } = settings
  const { runtime, transport } = shared
  const account = accountOf(settings, shared)
  const { checkSession, whenShown } = runtime
  const channel = withChannel({
    transport,
    wx: runtime.wx,
    keys: shared.userKeys,
    base: urls.base,
    appId: settings.appId,
    userId: () => account.current()?.user.id ?? ''
  })
  const exchange = followRedirects(createExchange({ account, transport: channel, checkSession, whenShown }), urls)

  /** Calls an endpoint of the gateway. */
  async function call<Result>(path: string, method: WxMethod, data?: object, needsSessionKey = false): Promise<Result> {
    const options = { url: urls.resolve(path), method, ...(data ? { data } : {}) }
    const answer = await exchange.perform({ kind: 'request', options }, { auth: 'required', needsSessionKey })
    const result = answer as WxRequestResult
    if (result.statusCode === 200 && typeof result.data === 'object' && result.data) return result.data as Result
    throw createError({
      code: 'invalid_response',
      status: result.statusCode,
      detail: "The answer is not the gateway's."
    })
  }

  /** @param describe Throws `invalid_url`, which rejects the promise. */
  function start<Result extends WxResult>(
    kind: Send['kind'],
    describe: () => Send,
    settings: ExchangeOptions,
    callbacks: Callbacks<Result>
  ): Task<Result> {
    const task = createTask<Result>(
      kind,
      async (handle) => exchange.perform(describe(), settings, handle) as Promise<Result>
    )
    return withCallbacks(task, callbacks)
  }

  /** Makes the address absolute. */
  function at<Options extends { url: string }>(options: Options): Options {
    return { ...options, url: urls.resolve(options.url) }
  }

  return {
    request<Data>(given: RequestOptions<Data>) {
      const {
        success,
        fail,
        complete,
        auth = 'required',
        openData = false,
        channel: isSealed = false,
        ...options
      } = given
      const describe = (): Send => ({ kind: 'request', options: withMethod(at(options)) })
      const callbacks: Callbacks<WxRequestResult<Data>> = { success, fail, complete }
      return start(
        'request',
        describe,
        { auth: isSealed ? 'required' : auth, needsSessionKey: openData, isSealed },
        callbacks
      )
    },

    uploadFile(given) {
      const { success, fail, complete, auth = 'required', ...options } = given
      const describe = (): Send => ({ kind: 'uploadFile', options: at(options) })
      return start('uploadFile', describe, { auth, needsSessionKey: false }, { success, fail, complete })
    },

    downloadFile(given) {
      const { success, fail, complete, auth = 'required', ...options } = given
      const describe = (): Send => ({ kind: 'downloadFile', options: at(options) })
      return start('downloadFile', describe, { auth, needsSessionKey: false }, { success, fail, complete })
    },

    connectSocket: (given) => openSocket({ account, runtime, urls }, given),

    async login({ force = false } = {}) {
      const session = await (force ? account.logInAnew(account.visit) : account.ensure(account.visit))
      return session.user
    },

    logout: async ({ all = false } = {}) => ({ ended: await account.logOut(all) }),

    async bindPhone(detail) {
      const { code, encryptedData, iv, errMsg, errno } = typeof detail === 'string' ? { code: detail } : detail
      if (!code && !(encryptedData && iv)) {
        const about = { ...(errMsg === undefined ? {} : { errMsg }), ...(errno === undefined ? {} : { errno }) }
        throw createError({ code: 'phone_refused', detail: 'getPhoneNumber gave no code.', ...about })
      }
      // A code does not depend on session_key. A wx.login before encryptedData is used may make it
      // unreadable.
      const bound = code
        ? await call<Phone>('/auth/phone', 'POST', { code })
        : await call<Phone>('/auth/phone', 'POST', { encryptedData, iv }, true)
      account.update(bound.user)
      return bound
    },

    openData: (data) => call('/auth/open-data', 'POST', data, true),

    async session({ check = false } = {}) {
      const info = await call<SessionInfo>(check ? '/auth/session?check=true' : '/auth/session', 'GET')
      account.update(info.user)
      return info
    },

    currentUser: () => account.current()?.user ?? null,
    onSessionEnd: (listener) => account.onEnd(listener)
  }
}

function accountOf(settings: Settings, { runtime, transport, accounts, prefetching }: Shared): Account {
  const { urls, appId, storageKey, isPrefetching } = settings
  const { base } = urls
  const id = JSON.stringify([storageKey, base, appId])
  if (isPrefetching) prefetching[id] = true
  const known = accounts[id]
  if (known) return known
  const account = createAccount({
    storage: createStorage({ wx: runtime.wx, key: storageKey, base, appId }),
    calls: createSessionCalls({ base, appId, transport, getCode: runtime.login, whenShown: runtime.whenShown }),
    defer: (callback) => void after(0, callback),
    onToken(accessToken) {
      if (prefetching[id]) runtime.keepPrefetchToken(accessToken)
    }
  })
  accounts[id] = account
  return account
}

/** Accepts a method in any case. */
function withMethod(options: WxRequestOptions): WxRequestOptions {
  const { method } = options
  return method === undefined ? options : { ...options, method: method.toUpperCase() as WxMethod }
}

/** With callbacks the rejection of the promise counts as handled. */
function withCallbacks<Result>(task: Task<Result>, { success, fail, complete }: Callbacks<Result>): Task<Result> {
  if (success || fail || complete) {
    task.then(
      (result) => {
        success?.(result)
        complete?.(result)
      },
      (error: WxgateError) => {
        fail?.(error)
        complete?.(error)
      }
    )
  }
  return task
}
