-- Announces purges: each becomes the latest entry of the log, whatever it was before.
--
-- KEYS: the log, a sorted set of purges by when they were announced, with two entries about itself:
--   `epoch`, when it was begun, and `floor`, up to where it may have forgotten.
-- ARGV: how far who asks has read, how many purges the log keeps, then the purges.
-- Answers for each purge, in their order, its number and the one it had before, or 0.
-- Numbers are microseconds of the server's clock, made to grow; they are exact up to 2^53.
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
local function text(value)
  return string.format('%.0f', value)
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then
  number = math.max(number, tonumber(last[2]) + 1)
else
  redis.call('ZADD', KEYS[1], text(number), 'epoch', text(number), 'floor')
  number = number + 1
end
number = math.max(number, tonumber(ARGV[1]) + 1)
local answer = {}
for index = 3, #ARGV do
  answer[#answer + 1] = text(number)
  answer[#answer + 1] = redis.call('ZSCORE', KEYS[1], ARGV[index]) or '0'
  redis.call('ZADD', KEYS[1], text(number), ARGV[index])
  number = number + 1
end
local most = tonumber(ARGV[2])
local excess = redis.call('ZCARD', KEYS[1]) - 2 - most
if excess > 0 then
  -- Some more than needed, so that not every purge pays for it.
  local oldest = redis.call('ZRANGE', KEYS[1], 0, excess + math.floor(most / 16) + 1, 'WITHSCORES')
  local floor
  for index = 1, #oldest, 2 do
    if oldest[index] ~= 'epoch' and oldest[index] ~= 'floor' then
      redis.call('ZREM', KEYS[1], oldest[index])
      floor = oldest[index + 1]
    end
  end
  if floor then
    redis.call('ZADD', KEYS[1], floor, 'floor')
  end
end
return answer
