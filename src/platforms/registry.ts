/** The platform of every configured app. */
import { ApiError } from '../errors.ts'
import type { Capabilities, Platform } from './port.ts'

export interface Platforms {
  /** Throws for an app that is not configured; callers look it up first. */
  of(appId: string): Platform
  /** True when the platform of any configured app has the capability. */
  has(name: keyof Capabilities): boolean
  /** The capability of the app's platform; throws not_found without it. */
  require<Name extends keyof Capabilities>(appId: string, name: Name): NonNullable<Capabilities[Name]>
}

const LACKING = new ApiError('not_found', 'The platform of this mini-program has no such function.')

export function createPlatforms(platformOf: ReadonlyMap<string, Platform>): Platforms {
  function of(appId: string): Platform {
    const platform = platformOf.get(appId)
    if (platform === undefined) throw new Error('the app is not configured')
    return platform
  }

  return {
    of,
    has: (name) => [...platformOf.values()].some((platform) => platform[name] !== undefined),
    require<Name extends keyof Capabilities>(appId: string, name: Name) {
      const capability: Capabilities[Name] = of(appId)[name]
      if (!capability) throw LACKING
      return capability
    }
  }
}
