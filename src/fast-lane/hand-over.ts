/** Decides which requests the general lane serves. */
import { Refusal } from '../http/admit.ts'
import type { Handler } from '../http/handler.ts'
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

/** Null for a request that the lane serves. Otherwise the general lane decides again, and answers. */
export function reasonAgainst(
  { url }: OrdinaryHead,
  admission: AdmittedRequest | Refusal,
  { ordinary }: Handler
): HandOverReason | null {
  if (admission instanceof Refusal) return 'refused'
  const { path, needs } = admission.target
  if (needs !== 0 || !url.startsWith(path)) return 'target'
  return ordinary?.accepts(admission) === true ? null : 'own_path'
}
