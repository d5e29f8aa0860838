-- Makes sure that the log (a stream) is there and goes on from where its readers are, and says what it holds.
--
-- The ids of its entries are <epoch>-<number>. A stream that is not there (lost, flushed, never made) begins
-- with a fresh epoch. So does one whose last id is before what the caller has seen of it: it lost its end (a
-- Redis that lost power, a replica that took over, a restored backup), and must not give those numbers a
-- second time. The caller may be a node that has not seen that end, while another has. So whenever the log is
-- first opened under another Redis process than before, it settles: nobody appends until all nodes have had
-- the time to open it.
--
-- KEYS[1]  the stream
-- KEYS[2]  a string: the process that it was last opened under, and until when it settles
-- ARGV     the epoch and the number that the caller has seen, 0 0 for none; an epoch that is fresh; how long
--          to settle, in milliseconds
-- returns  {epoch, number of the oldest entry, number of the newest, milliseconds left to settle}, as strings
local key = KEYS[1]
local seen_epoch, seen, fresh, settle = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function split(id)
  local epoch, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(epoch), tonumber(number)
end

-- A replica refuses writes, but not all calls of this write: who has come here by mistake, or after it was demoted, is
-- to look for the primary.
if string.find(redis.call('INFO', 'replication'), 'role:slave', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end

if redis.call('EXISTS', key) == 0 then
  redis.call('XGROUP', 'CREATE', key, 'init', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', key, 'init')
end
local info = redis.call('XINFO', 'STREAM', key)
local field = {}
for i = 1, #info, 2 do field[info[i]] = info[i + 1] end

local epoch, last = split(field['last-generated-id'])
local anew = epoch == 0 or epoch < seen_epoch or (epoch == seen_epoch and last < seen)
if anew then
  epoch, last = math.max(fresh, epoch + 1, seen_epoch + 1), 0
  redis.call('XSETID', key, string.format('%.0f-0', epoch))
end

local first = last + 1
local oldest = field['first-entry']
if oldest then
  local oldest_epoch, number = split(oldest[1])
  if oldest_epoch == epoch then first = number elseif last > 0 then first = 1 end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or 'unknown'
local known, settled = string.match(redis.call('GET', KEYS[2]) or '', '^(%w+) (%d+)$')
settled = math.min(tonumber(settled or 0), now + settle)
-- In a new epoch there is nothing that another could have seen.
if anew then settled = 0 elseif known ~= process then settled = now + settle end
if anew or known ~= process then
  -- Refused only by a Redis without memory, which takes no events either.
  redis.pcall('SET', KEYS[2], string.format('%s %.0f', process, settled))
end
return {
  string.format('%.0f', epoch), string.format('%.0f', first), string.format('%.0f', last),
  string.format('%.0f', math.max(settled - now, 0)),
}
