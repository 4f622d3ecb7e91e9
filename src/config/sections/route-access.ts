/** Access rules of routes: each must have an effect, and each claim must come from the login
 *  hook. */
import { didYouMean, type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { entries, type RuleContext } from '../section.ts'
import type { LoginDraft } from './login.ts'
import type { RouteDraft, RoutesDraft } from './routes.ts'

export function checkRouteAccess(draft: RoutesDraft & LoginDraft, { report }: RuleContext): void {
  for (const [index, route] of entries(draft.routes)) {
    checkEffect(route, ['routes', index], report)
    checkChannel(route, ['routes', index], report)
    checkClaims(route, ['routes', index], draft, report)
  }
}

/** Without a required token the setting would look like protection and give none. */
function checkEffect(route: RouteDraft, path: Path, report: Report): void {
  if (route.auth !== 'public' && route.auth !== 'optional') return
  const isPublic = route.auth === 'public'
  const useless: [string, boolean][] = [
    ['require', Object.keys(route.require ?? {}).length > 0],
    ['channel', route.channel === true],
    ['apps', isPublic && route.apps !== undefined],
    ['inject', isPublic && Object.keys(route.inject ?? {}).length > 0],
    ['openData', isPublic && route.openData === true],
    ['rateLimit', isPublic && route.rateLimit?.by === 'user']
  ]
  const reason = isPublic ? 'a public route ignores the token' : 'an optional route is open without a token'
  for (const [key, isSet] of useless) {
    if (isSet) report.error([...path, key], `cannot work here: ${reason}`, 'use auth: required')
  }
}

/** Both read the body, and open data travels encrypted anyway. */
function checkChannel({ channel, openData }: RouteDraft, path: Path, report: Report): void {
  if (channel !== true || openData !== true) return
  report.error([...path, 'channel'], 'cannot be combined with openData', 'put the two on routes of their own')
}

function checkClaims({ require, inject }: RouteDraft, path: Path, { login }: LoginDraft, report: Report): void {
  const hook = login?.hook
  const known = entries(hook?.claims).map(([, claim]) => claim)
  const wanted: [Path, string][] = [
    ...Object.keys(require ?? {}).map((claim): [Path, string] => [[...path, 'require', claim], claim]),
    ...Object.entries(inject ?? {}).map(([header, claim]): [Path, string] => [[...path, 'inject', header], claim ?? ''])
  ]
  for (const [place, claim] of wanted) {
    if (claim === '' || known.includes(claim)) continue
    if (hook === undefined) report.error(place, 'there is no login.hook that could set this claim')
    else report.error(place, `login.hook.claims does not list ${quote(claim)}`, didYouMean(claim, known))
  }
}
