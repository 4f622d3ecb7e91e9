/** Calls of the console to the service listener. The cookie is the credential, and an action
 *  carries the CSRF token of the session. */

/** A failed response, or no response. */
export class CallFailed extends Error {
  /** 0: no answer. */
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, detail: string) {
    super(detail)
    this.name = 'CallFailed'
    this.status = status
    this.code = code
  }
}

/** Paths are relative to the address of the console. */
export interface Api {
  get<T>(path: string): Promise<T>
  /** @returns Null for an answer without a body. */
  act<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>
}

export interface ApiDeps {
  /** The CSRF token of the session. */
  readonly csrf: string
  /** Asks for it again: another tab may have signed in. */
  readonly currentCsrf: () => Promise<string>
  /** Called for 401: the session of the console has ended. */
  readonly onSignedOut: () => void
}

const CSRF_HEADER = 'x-csrf-token'

export function createApi({ csrf: firstCsrf, currentCsrf, onSignedOut }: ApiDeps): Api {
  let csrf = firstCsrf
  const send = async <T>(path: string, init: RequestInit): Promise<T> => {
    try {
      return await ask<T>(path, init)
    } catch (error) {
      if (error instanceof CallFailed && error.status === 401) onSignedOut()
      throw error
    }
  }
  return {
    get: (path) => send(path, {}),
    async act<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
      try {
        return await send<T>(path, actionOf(method, csrf, body))
      } catch (error) {
        if (!(error instanceof CallFailed) || error.status !== 403) throw error
        const current = await currentCsrf()
        if (current === csrf) throw error
        csrf = current
        return send<T>(path, actionOf(method, csrf, body))
      }
    }
  }
}

function actionOf(method: string, csrf: string, body: unknown): RequestInit {
  if (body === undefined) return { method, headers: { [CSRF_HEADER]: csrf } }
  return { method, headers: { [CSRF_HEADER]: csrf, 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

export async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, { cache: 'no-store', credentials: 'same-origin', ...init }).catch(() => null)
  if (response === null) throw new CallFailed(0, 'no_answer', '')
  const text = await response.text()
  if (!response.ok) throw failureOf(response.status, text)
  return (text === '' ? null : JSON.parse(text)) as T
}

function failureOf(status: number, text: string): CallFailed {
  try {
    const { code = '', detail = '' } = JSON.parse(text) as { code?: string; detail?: string }
    return new CallFailed(status, code, detail)
  } catch {
    return new CallFailed(status, '', '')
  }
}
