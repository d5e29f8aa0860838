-- Makes sure that the log (a stream) is there and goes on from where its readers are, and says what it holds.
--
-- The ids of its entries are <epoch>-<number>. A stream that is not there (lost, flushed, never made) begins
-- with a fresh epoch. So does one whose last id is before what the caller has seen of it: it lost its end (a
-- Redis that lost power, a restored backup), and must not give those numbers a second time.
--
-- KEYS[1]  the stream
-- ARGV     the epoch and the number that the caller has seen, 0 0 for none; an epoch that is fresh
-- returns  {epoch, number of the oldest entry, number of the newest}, as strings
local key = KEYS[1]
local seen_epoch, seen, fresh = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function split(id)
  local epoch, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(epoch), tonumber(number)
end

if redis.call('EXISTS', key) == 0 then
  redis.call('XGROUP', 'CREATE', key, 'init', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', key, 'init')
end
local info = redis.call('XINFO', 'STREAM', key)
local field = {}
for i = 1, #info, 2 do field[info[i]] = info[i + 1] end

local epoch, last = split(field['last-generated-id'])
if epoch == 0 or epoch < seen_epoch or (epoch == seen_epoch and last < seen) then
  epoch, last = math.max(fresh, epoch + 1, seen_epoch + 1), 0
  redis.call('XSETID', key, string.format('%.0f-0', epoch))
end

local first = last + 1
local oldest = field['first-entry']
if oldest then
  local oldest_epoch, number = split(oldest[1])
  if oldest_epoch == epoch then first = number elseif last > 0 then first = 1 end
end
return {string.format('%.0f', epoch), string.format('%.0f', first), string.format('%.0f', last)}
