-- What became of streams. Once more does no harm.
--
-- KEYS     for each change: the passes of a client, or its streams; see enter.lua
-- ARGV     for each change: what, the stream, and for how many milliseconds
local now = now_in_millis()
for i, key in ipairs(KEYS) do
  local what, member, millis = ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  if what == 'left' then
    redis.call('ZREM', key, member)
  else
    redis.call('ZADD', key, now + millis, member)
    redis.call('PEXPIRE', key, millis)
  end
end
