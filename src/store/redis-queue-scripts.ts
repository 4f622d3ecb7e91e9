/** Scripts of the queue in Redis. KEYS of each: lanes (sorted set: lane by due time, of a leased
 *  lane the end of its lease), leases (hash: lane to lease), order (sorted set with score 0: lane,
 *  NUL and padded id), events (hash: fields of an event under its id), meta (hash: counters), dead
 *  (sorted set: id by id). */
import { script } from './redis-scripts.ts'

const KEYS = `
local lanes, leases, order, events, meta, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function member(lane, id) return lane .. '\\0' .. string.format('%016d', id) end
local function first(lane)
  local found = redis.call('ZRANGEBYLEX', order, '[' .. lane .. '\\0', '(' .. lane .. '\\1', 'LIMIT', 0, 1)[1]
  return found and string.format('%d', string.sub(found, #lane + 2))
end
local function free(lane, due)
  redis.call('HDEL', leases, lane)
  if first(lane) then
    redis.call('ZADD', lanes, due, lane)
    return 2
  end
  redis.call('ZREM', lanes, lane)
  return 1
end
local function lease(lane, id, ms, token)
  redis.call('ZADD', lanes, now + ms, lane)
  redis.call('HSET', leases, lane, token)
  return redis.call('HINCRBY', events, id .. ':a', 1)
end
local function count(waiting, bytes)
  redis.call('HINCRBY', meta, 'waiting', waiting)
  redis.call('HINCRBY', meta, 'bytes', bytes)
end
local function forget(id)
  redis.call('HDEL', events, id .. ':l', id .. ':v', id .. ':e', id .. ':a', id .. ':d', id .. ':r')
end
`

/** KEYS[7] is the key that remembers the event. ARGV: lane, value, size, most events, most bytes,
 *  ms to remember, ms of the lease or nothing, lease. */
export const enqueueEvent = script(`${KEYS}
if redis.call('EXISTS', KEYS[7]) == 1 then return { 'known' } end
local totals = redis.call('HMGET', meta, 'waiting', 'bytes')
if tonumber(totals[1] or 0) >= tonumber(ARGV[4]) then return { 'full' } end
if tonumber(totals[2] or 0) + ARGV[3] > tonumber(ARGV[5]) then return { 'full' } end
local lane = ARGV[1]
redis.call('SET', KEYS[7], '', 'PX', ARGV[6])
local id = string.format('%d', redis.call('HINCRBY', meta, 'last', 1))
redis.call('HSET', events, id .. ':l', lane, id .. ':v', ARGV[2], id .. ':e', string.format('%d', now))
redis.call('ZADD', order, 0, member(lane, id))
count(1, ARGV[3])
local due = redis.call('ZSCORE', lanes, lane)
if due then
  local isPaused = tonumber(due) > now and redis.call('HEXISTS', leases, lane) == 0
  return { 'added', id, string.format('%d', now), 0, isPaused and 1 or 0 }
end
if ARGV[7] == '' then
  redis.call('ZADD', lanes, now, lane)
  return { 'added', id, string.format('%d', now), 0, 0 }
end
lease(lane, id, ARGV[7], ARGV[8])
return { 'added', id, string.format('%d', now), 1, 0 }`)

/** ARGV: count, ms of the lease, lease, furthest due in ms. */
export const claimEvents = script(`${KEYS}
local found = redis.call('ZRANGEBYSCORE', lanes, '-inf', now, 'LIMIT', 0, ARGV[1])
if #found == 0 then
  found = redis.call('ZRANGEBYSCORE', lanes, '(' .. string.format('%d', now + ARGV[4]), '+inf', 'LIMIT', 0, ARGV[1])
end
local claims = {}
for _, lane in ipairs(found) do
  local id = first(lane)
  if id then
    local attempt = lease(lane, id, ARGV[2], ARGV[3])
    local fields = redis.call('HMGET', events, id .. ':v', id .. ':e')
    claims[#claims + 1] = { id, lane, fields[1], fields[2], attempt }
  else
    free(lane, now)
  end
end
return claims`)

/** ARGV: lane, id, lease, size, verb, delay or reason, dead events to keep. Returns 0 for a lost
 *  lease, 1 for a lane without further events, 2 for one with more. */
export const settleEvent = script(`${KEYS}
local lane, id, verb = ARGV[1], ARGV[2], ARGV[5]
if redis.call('HGET', leases, lane) ~= ARGV[3] then return 0 end
if redis.call('ZSCORE', order, member(lane, id)) == false then return 0 end
if verb == 'release' then
  return free(lane, now + ARGV[6])
end
redis.call('ZREM', order, member(lane, id))
count(-1, -ARGV[4])
if verb == 'done' then forget(id) else
  redis.call('HSET', events, id .. ':d', string.format('%d', now), id .. ':r', ARGV[6])
  redis.call('ZADD', dead, id, id)
  local excess = redis.call('ZCARD', dead) - ARGV[7]
  if excess > 0 then
    for _, old in ipairs(redis.call('ZRANGE', dead, 0, excess - 1)) do
      redis.call('ZREM', dead, old)
      forget(old)
    end
  end
end
return free(lane, now)`)

/** ARGV: id before the first, count. */
export const listDead = script(`${KEYS}
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', dead, '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
  local fields = redis.call('HMGET', events, id .. ':l', id .. ':v', id .. ':e', id .. ':d', id .. ':r')
  found[#found + 1] = { id, fields[1], fields[2], fields[3], fields[4], fields[5] }
end
return found`)

/** ARGV: id. */
export const reviveEvent = script(`${KEYS}
local id = ARGV[1]
if redis.call('ZREM', dead, id) == 0 then return 0 end
local fields = redis.call('HMGET', events, id .. ':l', id .. ':v')
local lane = fields[1]
redis.call('HDEL', events, id .. ':a', id .. ':d', id .. ':r')
redis.call('ZADD', order, 0, member(lane, id))
count(1, #fields[2] + #lane)
if not redis.call('ZSCORE', lanes, lane) then redis.call('ZADD', lanes, now, lane) end
return 1`)

export const readDepth = script(`${KEYS}
local totals = redis.call('HMGET', meta, 'waiting', 'bytes')
return { totals[1] or '0', totals[2] or '0', redis.call('ZCARD', dead) }`)
