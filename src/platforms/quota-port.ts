/** Quotas of a platform's API. */

/** The platform's quota of one path for one app. */
export interface Quota {
  /** Milliseconds since the epoch. */
  readonly readAt: number
  /** Calls of this day; null without an answer. */
  readonly daily: { readonly limit: number; readonly used: number; readonly remain: number } | null
  /** Null where the platform reports none. */
  readonly rate: { readonly max: number; readonly windowMs: number } | null
  /** The platform's code of a refusal; null without one. */
  readonly errcode: number | null
  /** The reason why there is no answer; null with one. */
  readonly failure: { readonly code: string; readonly detail: string } | null
}

/** A path of the platform's API. */
export interface CalledPath {
  readonly path: string
  /** Of this process, since the start. */
  readonly calls: number
  /** As last read; null before. */
  readonly quota: Quota | null
}

export interface QuotaCapability<App> {
  /** A bounded list of the paths that the app has called. */
  paths(appId: string): readonly CalledPath[]
  /** The quota of a path. A recent answer is given again. Throws rate_limited for too many
   *  questions. */
  read(app: App, path: string): Promise<Quota>
}
