/** WebSockets with the token in the handshake, in the form of wx's own SocketTask. */
import type { Account } from './account'
import { createError } from './errors'
import type { Auth } from './exchange'
import { startHandshake } from './handshake'
import { type Listeners, tell } from './listeners'
import type { Runtime } from './runtime'
import type { Session } from './storage'
import { after } from './timers'
import { withAuthorization } from './transport'
import type { Urls } from './urls'
import type { WxCallbacks, WxFailure, WxHeaders, WxSocketClose, WxSocketOptions, WxSocketTask } from './wx'

/** Time for wx to report a close that the caller asked for. */
const CLOSE_TIMEOUT_MS = 5_000

export interface SocketOptions extends WxSocketOptions, WxCallbacks<{ errMsg: string }> {
  auth?: Auth
}

export interface SocketDependencies {
  readonly account: Account
  readonly runtime: Pick<Runtime, 'wx' | 'takeSocket'>
  readonly urls: Urls
}

export function openSocket(dependencies: SocketDependencies, options: SocketOptions): WxSocketTask {
  const { account, runtime, urls } = dependencies
  const { auth = 'required', success, fail, complete, ...settings } = options
  const { visit } = account
  const listeners = createListeners()
  let giveBack: (() => void) | null = null
  let giveUp: (() => void) | null = null
  let cancelClose: (() => void) | null = null
  let task: WxSocketTask | null = null
  let isClosed = false

  function finish(close: WxSocketClose): void {
    if (isClosed) return
    isClosed = true
    giveUp?.()
    cancelClose?.()
    giveBack?.()
    tell(listeners.close, close)
  }

  function fall(failure: WxFailure): void {
    if (isClosed) return
    tell(listeners.error, failure)
    finish({ code: 1006, reason: '' })
  }

  async function start(): Promise<void> {
    // A place taken for a closed socket would never be released.
    if (isClosed) return
    try {
      const url = urls.resolveSocket(options.url)
      giveBack = runtime.takeSocket()
      if (!giveBack) throw createError({ code: 'too_many_sockets', detail: 'WeChat allows five sockets at a time.' })
      const isAnonymous = auth === 'public' || (auth === 'optional' && !account.current())
      const session = isAnonymous ? null : await account.ensure(visit)
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

  function dial(url: string, session: Session | null, mayRepeat: boolean): void {
    if (isClosed) return
    const header = withAuthorization(settings.header, session?.accessToken ?? null)
    giveUp = startHandshake(
      runtime.wx,
      { ...settings, url, header },
      {
        lost(failure) {
          if (!mayRepeat || !session) return fall(failure)
          renewed(session).then(
            (next) => (next ? dial(url, next, false) : fall(failure)),
            () => fall(failure)
          )
        },
        opened(opened, result) {
          task = opened
          tell(listeners.open, result)
        },
        message: (message) => tell(listeners.message, message),
        failed: (failure) => tell(listeners.error, failure),
        closed: finish
      }
    )
  }

  /** WeChat does not report why a handshake failed. Resolves with a new session when the
   *  gateway refuses this one. */
  async function renewed(refused: Session): Promise<Session | null> {
    const refusal = await account.refusalOf(refused)
    return refusal ? account.replace(refused, refusal, visit) : null
  }

  // The caller gets the task first, and can add listeners.
  Promise.resolve().then(start)

  return {
    send(message) {
      if (task && !isClosed) return task.send(message)
      const failure = { errMsg: 'sendSocketMessage:fail the socket is not open' }
      message.fail?.(failure)
      message.complete?.(failure)
    },
    close(closing = {}) {
      const { code = 1000, reason = '' } = closing
      if (task && !isClosed) {
        cancelClose = after(CLOSE_TIMEOUT_MS, () => finish({ code, reason }))
        return task.close(closing)
      }
      finish({ code, reason })
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
