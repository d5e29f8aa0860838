-- One who wants to come in: is there a place among its streams, and has it a pass or room in its window?
--
-- KEYS[1]  its window, see window.lua
-- KEYS[2]  its passes, a sorted set: streams of its that the fleet has ended, and until when each lets one in
-- KEYS[3]  its streams, a sorted set: each until when its place is kept
-- ARGV     how many in the window, 0 for no such limit; the window and a slice of it, in milliseconds; how many
--          streams, 0 for no such limit; the stream that this would be; how long its place is kept
-- returns  {what came of it, how many there are in the window, milliseconds until there is more room}
local max, window, slice = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, member, lease = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local now = now_in_millis()

local full = false
if most > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  full = redis.call('ZCARD', KEYS[3]) >= most
end
local passed = false
if max > 0 and not full then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  passed = #redis.call('ZPOPMIN', KEYS[2]) > 0
end
local granted, used, room = true, 0, 0
if max > 0 then
  local cost = 1
  if full or passed then cost = 0 end
  granted, used, room = spend(KEYS[1], now, max, window, slice, cost)
end
if full then return {'many', used, room} end
if not passed and not granted then return {'fast', used, room} end
if most > 0 then
  redis.call('ZADD', KEYS[3], now + lease, member)
  redis.call('PEXPIRE', KEYS[3], lease)
end
return {passed and 'passed' or 'admitted', used, room}
