/** One WebSocket handshake, and the events of the socket that it opens. */

import { after } from './timers'
import type { Wx, WxFailure, WxHeaders, WxSocketClose, WxSocketOptions, WxSocketTask } from './wx'
import { GRACE_MS, isPromise } from './wx-call'

/** The timeout of wx.connectSocket when the call sets none. */
const TIMEOUT_MS = 60_000

export interface SocketEvents {
  /** The handshake failed or took too long. No other event follows. */
  lost(failure: WxFailure): void
  opened(task: WxSocketTask, result: { header: WxHeaders }): void
  message(message: { data: string | ArrayBuffer }): void
  failed(failure: WxFailure): void
  closed(close: WxSocketClose): void
}

/** Returns the function that gives up the handshake: no event follows. */
export function startHandshake(wx: Wx, options: WxSocketOptions, events: SocketEvents): () => void {
  let task: WxSocketTask | null = null
  let state: 'connecting' | 'open' | 'over' = 'connecting'

  const cancelTimer = after((options.timeout || TIMEOUT_MS) + GRACE_MS, () =>
    lose({ errMsg: 'connectSocket:fail timeout' })
  )

  function giveUp(): void {
    if (state !== 'connecting') return
    state = 'over'
    cancelTimer()
    task?.close({})
  }

  function lose(failure: WxFailure): void {
    if (state !== 'connecting') return
    giveUp()
    events.lost(failure)
  }

  function attach(connecting: WxSocketTask): void {
    task = connecting
    // Taro returns the task later: the handshake may be over before.
    if (state === 'over') {
      connecting.close({})
      return
    }
    connecting.onOpen((result) => {
      if (state !== 'connecting') return
      state = 'open'
      cancelTimer()
      events.opened(connecting, result)
    })
    connecting.onMessage((message) => events.message(message))
    connecting.onError((failure) => (state === 'open' ? events.failed(failure) : lose(failure)))
    connecting.onClose((close) => {
      if (state === 'open') events.closed(close)
      else lose({ errMsg: 'connectSocket:fail closed before it was open' })
    })
  }

  try {
    const returned = wx.connectSocket({ ...options, fail: lose })
    if (isPromise(returned)) returned.then(attach, lose)
    else attach(returned)
  } catch (error) {
    lose({ errMsg: `connectSocket:fail ${String(error)}` })
  }
  return giveUp
}
