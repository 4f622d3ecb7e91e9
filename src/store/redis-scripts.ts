/** Operations that Redis has no single command for. The keys of each lie in one hash slot, so all
 *  work in a Cluster. */
import { createHash } from 'node:crypto'
import type { RedisConnection } from './redis-connection.ts'

export interface RedisScript {
  readonly text: string
  readonly sha: string
}

export const compareAndSet = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

export const increment = script(`
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count`)

/** Appends an entry with its own TTL and drops some expired ones at the old end: more than one
 *  per append, few enough to be fast. An idle feed expires as a whole with its last entry: a TTL
 *  of a millisecond can end within the script. Redis puts the time of an entry into its id. */
export const appendFeed = script(`
local id = redis.call('XADD', KEYS[1], '*', 'v', ARGV[1], 't', ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local now = tonumber(string.match(id, '^%d+'))
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 20)
if not oldest[1] then return id end
local keep = oldest[1][1]
for _, entry in ipairs(oldest) do
  keep = entry[1]
  if tonumber(string.match(keep, '^%d+')) + tonumber(entry[2][4]) > now then break end
end
if keep ~= oldest[1][1] then redis.call('XTRIM', KEYS[1], 'MINID', keep) end
return id`)

/** Sends a script by its hash; a server that does not know it (new, restarted) gets the text
 *  once. */
export async function evaluate(
  connection: RedisConnection,
  { sha, text }: RedisScript,
  keys: string | readonly string[],
  args: readonly string[]
): Promise<unknown> {
  const list = typeof keys === 'string' ? [keys] : keys
  const rest = [String(list.length), ...list, ...args]
  const [key = ''] = list
  try {
    return await connection.send(key, ['EVALSHA', sha, ...rest])
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return await connection.send(key, ['EVAL', text, ...rest])
  }
}

export function script(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
