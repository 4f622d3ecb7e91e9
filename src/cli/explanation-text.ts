/** Formats an explanation as text. */
import type { ExplainedRoute, Explanation } from '../proxy/explain/explanation.ts'

export function formatExplanation(explanation: Explanation): string {
  const { request, path, route, why, alsoCovering, auth, outcome, answer, upstream, stripped } = explanation
  const lines = [
    field('request', `${request.method} ${request.target}`),
    field('from', request.isTrusted ? `${request.from}, a trusted proxy` : request.from),
    field('path', path ?? 'refused'),
    field('route', route === null ? 'none' : describe(route)),
    field('why', why),
    ...alsoCovering.map((other) => field('also', describe(other))),
    field('auth', [verdict(explanation), ...auth.notes].join('; '))
  ]
  if (auth.principal !== null) {
    const { app, user, session, status, expiresAt } = auth.principal
    lines.push(field('user', `${user} (${status}) of ${app}, session ${session}, token until ${expiresAt}`))
  }
  if (answer !== null) lines.push(field('answer', `${answer.status} ${answer.code}: ${answer.detail}`))
  else if (outcome === 'own') lines.push(field('answer', 'by the gateway itself'))
  if (upstream !== null) {
    const name = upstream.isVariant ? `${upstream.name}, a variant,` : upstream.name
    lines.push(field('upstream', `${name} gets ${upstream.method} ${upstream.path}`))
    lines.push(...upstream.headers.map(([name, value]) => `             ${name}: ${value}`))
  }
  if (stripped.length > 0) {
    lines.push('stripped')
    lines.push(...stripped.map(({ name, why }) => `             ${name}: ${why}`))
  }
  return `${lines.map(printable).join('\n')}\n`
}

function verdict({ route, auth }: Explanation): string {
  return route === null || route.auth === auth.verdict ? auth.verdict : `${route.auth}: ${auth.verdict}`
}

function field(name: string, text: string): string {
  return `${name.padEnd(12)} ${text}`
}

function describe({ path, methods, place, upstream, auth }: ExplainedRoute): string {
  return `${path}${methods === null ? '' : ` [${methods.join(', ')}]`}  ${place}  ${auth}, to ${upstream}`
}

/** Text from the command line must not reach a terminal as control sequences. */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '?')
}
