/** What gateway.yaml can already say and this version cannot yet do. Delete the line here when it is implemented: the
 *  check, the published schema and the documentation follow. `[]` is any entry of a list, `*` any key of a map. */
export const notAvailable: readonly string[] = [
  'apps[].push',
  'apps[].pay',
  'upstreams.*.healthCheck',
  'upstreams.*.circuitBreaker',
  'upstreams.*.retries.budget'
]

/** Steps of such a path: `apps[].push` is apps, [], push. */
export function patternSteps(pattern: string): string[] {
  return pattern.replaceAll('[]', '.[]').split('.')
}
