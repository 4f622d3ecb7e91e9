/** Upgrades to WebSocket: hands each handshake to the handler, and counts the connection until its
 *  end. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../errors.ts'
import { Refusal } from './admit.ts'
import { writeProblem } from './answer/send-problem.ts'
import type { Guard } from './guard.ts'
import type { Handler } from './handler.ts'
import type { RequestRecord } from './record.ts'
import type { AdmittedRequest } from './request.ts'

export interface UpgradesOptions {
  readonly guard: Pick<Guard, 'toApiError'>
  readonly handler: () => Handler
  readonly admit: (req: IncomingMessage) => AdmittedRequest | Refusal
}

export interface Upgrades {
  /** Upgraded connections and handshakes under way. */
  readonly sockets: ReadonlySet<Duplex>
  /** @param head Bytes behind the handshake. */
  add(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

export function createUpgrades({ guard, handler, admit }: UpgradesOptions): Upgrades {
  const sockets = new Set<Duplex>()

  function add(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const owner = handler()
    let record: RequestRecord | null = null
    owner.enter()
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    const onEnd = (status: number) => {
      if (!sockets.delete(socket)) return
      record?.finished(status)
      owner.leave()
    }
    const refuse = (error: ApiError) => {
      record?.refused(error.code)
      writeProblem(socket, error, record?.requestId ?? '')
      onEnd(error.status)
    }
    try {
      const admission = admit(req)
      record = admission.record
      if (admission instanceof Refusal) refuse(admission.error)
      else owner.upgrade?.(admission, socket, head, onEnd)
    } catch (error) {
      refuse(guard.toApiError(error, record))
    }
  }

  return { sockets, add }
}
