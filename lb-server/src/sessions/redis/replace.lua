-- Writes or takes a session, if nobody else has written it since it was loaded.
--
-- KEYS: the session.
-- ARGV: the record that was loaded; the one to write and its lifetime in milliseconds, or nothing to take it.
-- Answers 1; nothing where the session has ended; else the record as others have written it.
local record = redis.call('GET', KEYS[1])
if not record then
  return false
end
-- A version, flags and eight bytes of time stand before the four of the revision.
if string.sub(record, 11, 14) ~= string.sub(ARGV[1], 11, 14) then
  return record
end
if ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
return 1
