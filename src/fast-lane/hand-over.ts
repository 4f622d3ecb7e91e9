/** Decides which requests the general lane serves. */
import type { Handler, ServeOrdinary } from '../http/handler.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { NotOrdinary, OrdinaryHead } from './recogniser.ts'

/** The words of a metric: parts of a head that the recogniser leaves to the general lane, then the
 *  results of admission. */
export const HAND_OVER_REASONS = [
  'incomplete',
  'method',
  'target',
  'version',
  'field',
  'framing',
  'connection',
  'upgrade',
  'expect',
  'refused',
  'own_path'
] as const satisfies readonly (NotOrdinary | 'refused' | 'own_path')[]
export type HandOverReason = (typeof HAND_OVER_REASONS)[number]

/** Serves the request in the lane, or a reason why the general lane has to decide about it. */
export function laneWay(
  { url }: OrdinaryHead,
  admitted: AdmittedRequest,
  { ordinary }: Handler
): ServeOrdinary | HandOverReason {
  const { path, needs } = admitted.target
  if (needs !== 0 || !url.startsWith(path)) return 'target'
  return ordinary(admitted) ?? 'own_path'
}
