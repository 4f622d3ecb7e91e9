/** WebSockets with the token in the handshake. What stands outside looks like wx's own SocketTask. */
import type { Account } from './account'
import { createError } from './errors'
import type { Auth, Exchange } from './exchange'
import { type Listeners, tell } from './listeners'
import type { Runtime } from './runtime'
import type { Session } from './storage'
import type { Urls } from './urls'
import type { WxCallbacks, WxFailure, WxHeaders, WxSocketClose, WxSocketOptions, WxSocketTask } from './wx'

export interface SocketOptions extends WxSocketOptions, WxCallbacks<{ errMsg: string }> {
  auth?: Auth
}

export interface SocketDependencies {
  readonly account: Account
  readonly exchange: Exchange
  readonly runtime: Runtime
  readonly urls: Urls
}

export function openSocket(dependencies: SocketDependencies, options: SocketOptions): WxSocketTask {
  const { account, exchange, runtime, urls } = dependencies
  const { auth = 'required', success, fail, complete, ...settings } = options
  const { visit } = account
  const listeners = createListeners()
  let giveBack: (() => void) | null = null
  let task: WxSocketTask | null = null
  let state: 'connecting' | 'open' | 'closed' = 'connecting'

  function finish(close: WxSocketClose): void {
    if (state === 'closed') return
    state = 'closed'
    giveBack?.()
    tell(listeners.close, close)
  }

  /** WeChat does not say why a handshake failed, a refused token included. */
  function fall(failure: WxFailure): void {
    if (state === 'closed') return
    tell(listeners.error, failure)
    finish({ code: 1006, reason: '' })
  }

  async function start(): Promise<void> {
    // Closed at once: a place taken now would never be given back.
    if (isClosed()) return
    try {
      const url = urls.resolveSocket(options.url)
      giveBack = runtime.takeSocket()
      if (!giveBack) throw createError({ code: 'too_many_sockets', detail: 'WeChat allows five sockets at a time.' })
      const isAnonymous = auth === 'public' || (auth === 'optional' && !account.current())
      const session = isAnonymous ? null : await account.ensure(visit)
      if (isClosed()) return
      dial(url, session, session !== null)
    } catch (caught) {
      const error = caught as WxFailure
      fail?.(error)
      complete?.(error)
      fall(error)
      return
    }
    const result = { errMsg: 'connectSocket:ok' }
    success?.(result)
    complete?.(result)
  }

  /** The compiler does not see that others change the state while we wait. */
  function isClosed(): boolean {
    return state === 'closed'
  }

  function dial(url: string, session: Session | null, mayRepeat: boolean): void {
    let isLost = false
    const lose = (failure: WxFailure) => {
      if (isLost || state === 'closed') return
      isLost = true
      if (!mayRepeat || !session) return fall(failure)
      renewed(session).then(
        (next) => {
          if (isClosed()) return
          if (next) dial(url, next, false)
          else fall(failure)
        },
        () => fall(failure)
      )
    }
    const { url: _url, header, ...rest } = settings
    task = runtime.wx.connectSocket({ ...rest, url, header: withToken(header, session), fail: lose })
    task.onOpen((result) => {
      state = 'open'
      tell(listeners.open, result)
    })
    task.onMessage((message) => tell(listeners.message, message))
    task.onError((failure) => {
      if (state === 'open') tell(listeners.error, failure)
      else lose(failure)
    })
    task.onClose((close) => {
      if (state === 'open') finish(close)
      else lose({ errMsg: 'connectSocket:fail closed before it was open' })
    })
  }

  /** Asks the gateway about the session; null when the token was not to blame. */
  async function renewed(refused: Session): Promise<Session | null> {
    const url = urls.resolve('/auth/session')
    await exchange.perform({ kind: 'request', options: { url } }, { auth: 'required', needsSessionKey: false })
    const present = account.visit === visit ? account.current() : null
    return present && present.accessToken !== refused.accessToken ? present : null
  }

  // The caller first gets the task, and can add its listeners.
  Promise.resolve().then(start)

  return {
    send(message) {
      if (task && state === 'open') return task.send(message)
      const failure = { errMsg: 'sendSocketMessage:fail the socket is not open' }
      message.fail?.(failure)
      message.complete?.(failure)
    },
    close(closing = {}) {
      if (task && state === 'open') return task.close(closing)
      task?.close({})
      finish({ code: closing.code ?? 1000, reason: closing.reason ?? '' })
      const result = { errMsg: 'closeSocket:ok' }
      closing.success?.(result)
      closing.complete?.(result)
    },
    onOpen: (listener) => void listeners.open.push(listener),
    onMessage: (listener) => void listeners.message.push(listener),
    onError: (listener) => void listeners.error.push(listener),
    onClose: (listener) => void listeners.close.push(listener)
  }
}

function createListeners() {
  return {
    open: [] as Listeners<{ header: WxHeaders }>,
    message: [] as Listeners<{ data: string | ArrayBuffer }>,
    error: [] as Listeners<WxFailure>,
    close: [] as Listeners<WxSocketClose>
  }
}

function withToken(header: WxHeaders | undefined, session: Session | null): WxHeaders {
  const own: WxHeaders = {}
  for (const name in header) if (name.toLowerCase() !== 'authorization') own[name] = header[name] ?? ''
  if (session) own.Authorization = `Bearer ${session.accessToken}`
  return own
}
