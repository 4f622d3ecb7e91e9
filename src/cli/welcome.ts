/** Shell commands with which a reader can try a running gateway. */

export interface TryOptions {
  readonly edgeUrl: string
  /** A path that needs a token. */
  readonly path: string
  readonly apps: readonly { readonly appId: string }[]
  readonly isSandbox: boolean
}

/** A login, and a login followed by a call. */
export function tryIt({ edgeUrl, path, apps, isSandbox }: TryOptions): string {
  const code = isSandbox ? 'sandbox-alice' : 'CODE_OF_WX_LOGIN'
  const appid = apps.length > 1 ? `,"appid":"${apps[0]?.appId}"` : ''
  const login = `curl -s ${edgeUrl}/auth/login -H 'content-type: application/json' -d '{"code":"${code}"${appid}}'`
  const token = `$(${login} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`
  return `  ${login}\n\n  curl -s ${edgeUrl}${path} -H "authorization: Bearer ${token}"\n`
}
