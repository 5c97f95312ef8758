-- Reads a record and how long it has still to live, in milliseconds.
--
-- KEYS: the record.
-- Answers both, or nothing. What would never end was not written by this program.
local record = redis.call('GET', KEYS[1])
if not record then
  return false
end
return {record, redis.call('PTTL', KEYS[1])}
