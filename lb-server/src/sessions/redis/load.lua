-- Finds a session and counts it as used now.
--
-- KEYS: the session.
-- ARGV: its lifetimes without use and in all, and the time, in milliseconds.
-- Answers the record; nothing where there is none or its time is over.
local record = redis.call('GET', KEYS[1])
if not record then
  return false
end
-- Eight bytes from the third on, the lowest first, say when it began.
local created = 0
for at = 10, 3, -1 do
  created = created * 256 + (string.byte(record, at) or 0)
end
local idle, most, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- A clock that was set back makes no session older, and none live longer than from now.
local left = math.min(idle, most - math.max(0, now - created))
if left < 1 then
  redis.call('DEL', KEYS[1])
  return false
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left))
return record
