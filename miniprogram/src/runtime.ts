/** What all clients in one mini-program share, because WeChat's limits hold for the mini-program and not for a client. */
import type { Account } from './account'
import { createError } from './errors'
import { createQueue, type Queue } from './queue'
import { after } from './timers'
import type { Wx } from './wx'

/** Requests, uploads and downloads together. */
const MAX_REQUESTS = 10
const MAX_SOCKETS = 5
/** Calls of wx.login, and of wx.checkSession, in a second. The margin is for clocks that tick differently. */
const MAX_LOGINS = 4
const SECOND = 1100
/** Milliseconds. */
const LOGIN_TIMEOUT = 10_000

export interface Runtime {
  readonly wx: Wx
  readonly requests: Queue
  readonly accounts: { [key: string]: Account }
  /** A code of wx.login. Rejects with `login_failed`. */
  login(): Promise<string>
  /** False when WeChat's session_key of this user has ended. */
  checkSession(): Promise<boolean>
  /** Resolves when the mini-program is in front, at once when it is already. */
  whenShown(): Promise<void>
  /** Gives the function that gives the place back; null when no socket is left. */
  takeSocket(): (() => void) | null
}

const runtimes: Runtime[] = []

export function runtimeOf(wx: Wx): Runtime {
  for (const runtime of runtimes) if (runtime.wx === wx) return runtime
  const runtime = createRuntime(wx)
  runtimes.push(runtime)
  return runtime
}

function createRuntime(wx: Wx): Runtime {
  const logins = createQueue(MAX_LOGINS)
  const checks = createQueue(MAX_LOGINS)
  let isHidden = false
  let shown: (() => void)[] = []
  let sockets = 0

  wx.onAppHide?.(() => {
    isHidden = true
  })
  wx.onAppShow?.(() => {
    isHidden = false
    const waiting = shown
    shown = []
    for (const resolve of waiting) resolve()
  })

  return {
    wx,
    requests: createQueue(MAX_REQUESTS),
    accounts: {},

    async login() {
      await pace(logins)
      return new Promise((resolve, reject) => {
        const refuse = (errMsg: string) =>
          reject(createError({ code: 'login_failed', detail: 'wx.login gave no code.', errMsg }))
        wx.login({
          timeout: LOGIN_TIMEOUT,
          success: ({ code, errMsg }) => (code ? resolve(code) : refuse(errMsg)),
          fail: (failure) => refuse(String(failure?.errMsg))
        })
      })
    },

    async checkSession() {
      await pace(checks)
      return new Promise((resolve) => wx.checkSession({ success: () => resolve(true), fail: () => resolve(false) }))
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

/** A place in the queue is held for a second, whatever becomes of the call. */
function pace(queue: Queue): Promise<void> {
  return new Promise((resolve) => {
    queue.enter((release) => {
      after(SECOND, release)
      resolve()
    })
  })
}
