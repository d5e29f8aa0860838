-- Adds events to the log once: a second call with the same memo adds nothing and says what the first one did.
--
-- KEYS[1]  the stream
-- KEYS[2]  the memo, a string: the fingerprint of what was added, and the ids of the first and the last entry
-- ARGV     the epoch, how many entries to keep, the fingerprint, how long to remember in milliseconds, then
--          for each event how many words follow, and those: its fields and values
-- returns  {'stored' | 'replayed', id of the first, of the last}, {'conflict'}, or {'gone'} if there is no
--          stream or it is of another epoch
local stream, memo = KEYS[1], KEYS[2]
local epoch, most, fingerprint, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local done = redis.call('GET', memo)
if done then
  local earlier, first, last = string.match(done, '^(%S+) (%S+) (%S+)$')
  if earlier ~= fingerprint then return {'conflict'} end
  -- A write that changes nothing, so that a WAIT after it waits for what the first call wrote.
  redis.call('PEXPIRE', memo, redis.call('PTTL', memo))
  return {'replayed', first, last}
end

local first, last
local at = 5
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  local command = {'XADD', stream, 'NOMKSTREAM', 'MAXLEN', '~', most, epoch .. '-*'}
  for i = at + 1, at + words do command[#command + 1] = ARGV[i] end
  local id = redis.pcall(unpack(command))
  if not id then return {'gone'} end
  if type(id) == 'table' then
    -- Only the first can fail: it is refused before anything was added.
    if string.find(id.err, 'equal or smaller', 1, true) then return {'gone'} end
    return id
  end
  first, last = first or id, id
  at = at + words + 1
end
redis.call('SET', memo, fingerprint .. ' ' .. first .. ' ' .. last, 'PX', remember)
return {'stored', first, last}
