-- The revocations after one that a node knows. If that one is gone, then the stream may have lost what the node
-- remembers, though it has grown since: then all that there are.
--
-- KEYS[1]  the stream of revocations
-- ARGV     the id of the last one that is known, or nothing
-- returns  {1 if the known one is gone, the entries}
local key, known = KEYS[1], ARGV[1]
if known == '' then return {0, redis.call('XRANGE', key, '-', '+')} end
local entries = redis.call('XRANGE', key, known, '+')
if entries[1] and entries[1][1] == known then
  table.remove(entries, 1)
  return {0, entries}
end
return {1, redis.call('XRANGE', key, '-', '+')}
