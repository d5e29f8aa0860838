-- Adds a revocation.
--
-- KEYS[1]  the stream of revocations
-- ARGV     how long one may last at most, in milliseconds; how many there may be; then the revocation: kind, name, up
--          to when issued, until when it holds
-- returns  the id, or nothing if there are too many
local key, longest, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function trim()
  redis.call('XTRIM', key, 'MINID', '=', string.format('%.0f', math.max(now - longest, 0)))
end

if redis.call('XLEN', key) >= most then
  trim()
  if redis.call('XLEN', key) >= most then return false end
end
-- Before anything else is written: only then does a Redis without memory refuse it.
local id = redis.call('XADD', key, '*', 'k', ARGV[3], 'n', ARGV[4], 'a', ARGV[5], 'u', ARGV[6])
trim()
return id
