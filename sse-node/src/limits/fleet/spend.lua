-- Counts so many at once, or none of them.
--
-- KEYS[1]  a window, see window.lua
-- ARGV     how many in the window; the window and a slice of it, in milliseconds; how many now
-- returns  {1 if they were counted or else 0, how many there are in the window, milliseconds until there is more room}
local granted, used, room =
  spend(KEYS[1], now_in_millis(), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return {granted and 1 or 0, used, room}
