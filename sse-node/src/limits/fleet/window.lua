-- Begins the scripts that count: a window that slides, the same reckoning as local/window.rs.
--
-- A window is a hash: when a slice began, in milliseconds of this Redis' clock, and how many there were in it. It
-- has 66 fields at most, and expires when all of them count no longer.
local function now_in_millis()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Counts `cost` if there is room for all of it. Returns whether there was, how many there are now, and in how many
-- milliseconds there is more room: for one who was refused, enough for what was refused.
local function spend(key, now, max, window, slice, cost)
  local found = redis.call('HGETALL', key)
  local used, slices, gone = 0, {}, {}
  for i = 1, #found, 2 do
    local ends, count = found[i] + slice - 1 + window, tonumber(found[i + 1])
    if ends <= now then
      gone[#gone + 1] = found[i]
    else
      used = used + count
      slices[#slices + 1] = {ends, count}
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end

  local granted, needed = used + cost <= max, 1
  if granted and cost > 0 then
    local begun = now - now % slice
    redis.call('HINCRBY', key, string.format('%.0f', begun), cost)
    redis.call('PEXPIRE', key, window + slice)
    used = used + cost
    slices[#slices + 1] = {begun + slice - 1 + window, cost}
  elseif not granted then
    needed = used + cost - max
  end
  table.sort(slices, function(a, b) return a[1] < b[1] end)
  local freed, at = 0, now
  for _, one in ipairs(slices) do
    freed, at = freed + one[2], one[1]
    if freed >= needed then break end
  end
  return granted, used, at - now
end
