-- Lets go of the oldest entries of the log: those that are too old, and as many as take too much memory. A
-- call takes away no more than ARGV[4], and looks at a few tens of entries; the caller comes again.
--
-- KEYS[1]  the stream; a field of each entry is `at`, when it was published in milliseconds since 1970
-- ARGV     now; the time before which entries are too old; the bytes that the stream may take; the most
--          entries to take away
-- returns  {how many were taken away, the time of the oldest entry that is left or -1}
local key = KEYS[1]
local now, oldest, bytes, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Memory is sampled in this many nodes of the stream's tree, from the oldest on: exact up to then.
local SAMPLES = 10000

local function time(entry)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'at' then return tonumber(fields[i + 1]) or 0 end
  end
  return 0
end

local function first(from, to)
  return redis.call('XRANGE', key, from, to, 'COUNT', 1)[1]
end

local taken = 0
local entry = first('-', '+')
-- A time in the future is of a clock that was wrong and says nothing: look behind it.
if entry and (time(entry) < oldest or time(entry) > now + 60000) then
  local epoch, number = string.match(entry[1], '^(%d+)-(%d+)$')
  local newest = redis.call('XREVRANGE', key, epoch, epoch, 'COUNT', 1)[1]
  local low, high = tonumber(number), tonumber(string.match(newest[1], '-(%d+)$')) + 1
  high = math.min(high, low + most)
  -- Numbers have no holes, and times rise with them: halve until the first that is young enough is found.
  while low < high do
    local middle = math.floor((low + high) / 2)
    local probe = first(string.format('%s-%.0f', epoch, middle), epoch)
    if probe and time(probe) < oldest then low = middle + 1 else high = middle end
  end
  taken = redis.call('XTRIM', key, 'MINID', '=', string.format('%s-%.0f', epoch, low))
end

local length = redis.call('XLEN', key)
if taken < most and length > 1 then
  local used = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', SAMPLES)
  if used > bytes then
    -- In proportion, the newest stays; memory is counted anew at the next call.
    local surplus = math.ceil(length * (used - bytes) / used)
    local drop = math.min(surplus, most - taken, length - 1)
    taken = taken + redis.call('XTRIM', key, 'MAXLEN', '=', string.format('%.0f', length - drop))
  end
end

entry = first('-', '+')
return {taken, string.format('%.0f', entry and time(entry) or -1)}
