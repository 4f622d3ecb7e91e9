/** State that all clients of one mini-program share: WeChat's limits and foreground or
 *  background hold for all of them. */
import { createError } from './errors'
import { createQueue, type Queue } from './queue'
import { after } from './timers'
import type { Wx, WxFailure } from './wx'
import { callWx, GRACE_MS } from './wx-call'

/** Requests, uploads and downloads together. */
const MAX_REQUESTS = 10
const MAX_SOCKETS = 5
/** Calls of wx.login, and of wx.checkSession, per second. The margin allows for clocks that
 *  differ. */
const MAX_LOGINS = 4
const SECOND_MS = 1100
const LOGIN_TIMEOUT_MS = 10_000
/** wx.checkSession and wx.setBackgroundFetchToken take no timeout. */
const ANSWER_TIMEOUT_MS = 5_000

export interface Runtime {
  readonly wx: Wx
  readonly requests: Queue
  /** Resolves with a code of wx.login. Rejects with `login_failed`. */
  login(): Promise<string>
  /** Resolves with false when WeChat reports that this user's session_key has ended. */
  checkSession(): Promise<boolean>
  /** Gives WeChat the text for data pre-fetch. Without it, WeChat sends a login code instead. */
  keepPrefetchToken(token: string): void
  /** Resolves when the mini-program is in the foreground. */
  whenShown(): Promise<void>
  /** Returns the function that releases the place, or null when no socket is left. */
  takeSocket(): (() => void) | null
}

export function createRuntime(wx: Wx): Runtime {
  const logins = createQueue(MAX_LOGINS)
  const checks = createQueue(MAX_LOGINS)
  let isHidden = false
  let shown: (() => void)[] = []
  let sockets = 0

  if (wx.onAppShow && wx.onAppHide) {
    wx.onAppHide(() => {
      isHidden = true
    })
    wx.onAppShow(() => {
      isHidden = false
      const waiting = shown
      shown = []
      for (const resolve of waiting) resolve()
    })
  }

  return {
    wx,
    requests: createQueue(MAX_REQUESTS),

    async login() {
      await pace(logins)
      let errMsg: string
      try {
        const result = await callWx<{ code: string; errMsg: string }>({
          name: 'login',
          timeoutMs: LOGIN_TIMEOUT_MS + GRACE_MS,
          start: (callbacks) => wx.login({ timeout: LOGIN_TIMEOUT_MS, ...callbacks })
        })
        if (result.code) return result.code
        errMsg = result.errMsg
      } catch (failure) {
        errMsg = (failure as WxFailure).errMsg
      }
      throw createError({ code: 'login_failed', detail: 'wx.login gave no code.', errMsg })
    },

    async checkSession() {
      await pace(checks)
      let isAnswered = true
      const check = callWx({
        name: 'checkSession',
        timeoutMs: ANSWER_TIMEOUT_MS,
        start: (callbacks) => wx.checkSession(callbacks),
        stop() {
          isAnswered = false
        }
      })
      // Without an answer the gateway finds out whether its session_key still fits.
      return check.then(
        () => true,
        () => !isAnswered
      )
    },

    keepPrefetchToken(token) {
      callWx({
        name: 'setBackgroundFetchToken',
        timeoutMs: ANSWER_TIMEOUT_MS,
        start: (callbacks) => wx.setBackgroundFetchToken?.({ token, ...callbacks })
      }).then(undefined, () => {})
    },

    whenShown: () => (isHidden ? new Promise((resolve) => shown.push(resolve)) : Promise.resolve()),

    takeSocket() {
      if (sockets >= MAX_SOCKETS) return null
      sockets++
      let isTaken = true
      return () => {
        if (isTaken) sockets--
        isTaken = false
      }
    }
  }
}

/** Holds a place in the queue for a second, whatever the call does. */
function pace(queue: Queue): Promise<void> {
  return new Promise((resolve) => {
    queue.enter((release) => {
      after(SECOND_MS, release)
      resolve()
    })
  })
}
