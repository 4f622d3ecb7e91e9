/** `routes[].identity`: names of the identity headers that an upstream receives. */
import { type Static, Type } from '../../schema.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import type { Draft } from '../section.ts'
import { matching, oneOf, section } from '../terms.ts'
import { type AppsDraft, appId, reportUnknownApp } from './apps.ts'

export const identity = section('Identity headers for the upstream.', {
  headers: oneOf(
    'Names of the headers: those of wxgate (`X-OpenId`), of WeChat Cloud Run (`X-WX-OPENID`), or of the wafer SDK (`X-WX-Id`, `X-WX-Skey`).',
    ['wxgate', 'cloudrun', 'wafer'],
    'wxgate'
  ),
  env: Type.Optional(
    matching('`cloudrun`: value of `X-WX-ENV`.', '^[\\x21-\\x7e]{1,128}$', 'the id of an environment, without spaces')
  ),
  app: Type.Optional(
    appId('`cloudrun`: owner of the environment. A user of another app arrives with `X-WX-FROM-OPENID`.')
  )
})

type WrittenIdentity = Static<typeof identity>

export function checkIdentity(
  { headers, env, app }: Draft<WrittenIdentity> = {},
  path: Path,
  draft: AppsDraft,
  report: Report
): void {
  if (headers !== 'cloudrun') {
    for (const [key, value] of Object.entries({ env, app })) {
      if (value !== undefined) report.error([...path, key], 'has an effect with headers: cloudrun only')
    }
  }
  if (app !== undefined) reportUnknownApp(app, [...path, 'app'], draft, report)
}

export function resolveIdentity({ headers, env, app }: WrittenIdentity) {
  return {
    headers,
    /** Null: no X-WX-ENV. */
    env: env ?? null,
    /** Null: every app counts as the owner of the environment. */
    app: app ?? null
  }
}
