/** Keys of gateway.yaml that this version does not implement. Delete the line of a key that
 *  becomes available: the check, the published schema and the documentation follow. `[]` is any
 *  entry of a list, `*` any key of a map. */
export const notAvailable: readonly string[] = ['upstreams.*.connections.idle', 'upstreams.*.connections.maxAge']

/** `apps[].push` as steps: apps, [], push. */
export function patternSteps(pattern: string): string[] {
  return pattern.replaceAll('[]', '.[]').split('.')
}
