-- Reads the purges after a number, oldest first, and begins the log where there is none (see purge.lua).
--
-- KEYS: the log.
-- ARGV: the number up to which who asks has read, how many purges to answer at most.
-- Answers the log's epoch, its floor, its last number, and a list of purges, each with its number after it.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if not last[2] then
  local time = redis.call('TIME')
  last[2] = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('ZADD', KEYS[1], last[2], 'epoch', last[2], 'floor')
end
local epoch = redis.call('ZSCORE', KEYS[1], 'epoch')
local floor = redis.call('ZSCORE', KEYS[1], 'floor')
local news = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
return {epoch, floor, last[2], news}
