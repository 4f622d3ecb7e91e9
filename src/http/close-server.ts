/** Closes a server without losing a request on its way. */
import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'

/** After a drain's delay an idle connection stays open this long (milliseconds): a request sent
 *  at that moment is answered, with `Connection: close`. */
const IDLE_GRACE = 2_000
const CHECK_INTERVAL = 20

export interface OpenWork {
  /** Requests and upgraded connections under way. */
  active(): number
  connections(): number
  readonly upgraded: Iterable<Duplex>
  closeAll(): void
}

/** Stops listening, waits for the requests under way, at most `timeoutMs`, then closes the rest. */
export async function closeServer(
  server: Server,
  timeoutMs: number,
  { active, connections, upgraded, closeAll }: OpenWork
): Promise<void> {
  // http.Server.close would end idle connections at once, and lose a request on its way.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
  const startedAt = performance.now()
  const elapsed = () => performance.now() - startedAt
  while (connections() > 0 && elapsed() < timeoutMs) {
    if (active() === 0 && elapsed() >= IDLE_GRACE) break
    await new Promise((resolve) => setTimeout(resolve, CHECK_INTERVAL))
  }
  for (const socket of upgraded) socket.destroy()
  server.close()
  closeAll()
  await closed
}
