-- When may a node let go of so many connections? Each node gets a time of its own, right after the one before.
--
-- KEYS[1]  when the next turn may begin, in microseconds of Redis' clock
-- KEYS[2]  the nodes that there are, a sorted set: each until when it counts as one
-- ARGV     how many connections; how long each takes, in microseconds; the node; for how many milliseconds it counts
-- returns  {microseconds until its turn, how many nodes there are}
local count, each, node, present = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + present * 1000, node)
redis.call('PEXPIRE', KEYS[2], present)
local nodes = redis.call('ZCARD', KEYS[2])
if count == 0 then return {0, nodes} end

local begin = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
-- The clock was set back: nobody waits for that.
if begin > now + 60 * 1000000 then begin = now end
local over = begin + count * each
redis.call('SET', KEYS[1], string.format('%.0f', over), 'PX', math.ceil((over - now) / 1000) + 1)
return {begin - now, nodes}
