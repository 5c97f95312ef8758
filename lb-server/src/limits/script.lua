-- Decides under several limits at once: counts in all of them or, if one that is enforced refuses, in none.
--
-- KEYS: one for each limit.
-- ARGV: five for each limit: "bucket" or "window", 1 if it is enforced, the cost, and
--   of a bucket the emission interval and the burst tolerance, of a window its length and its limit.
-- Answers five integers for each limit: whether it admits, and
--   of a bucket 0, the arrival time without and with the request, now;
--   of a window the previous count, the current count without and with the request, the time elapsed in it.
-- All times are microseconds of the server's clock; numbers are exact up to 2^53.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer, writes, admitted = {}, {}, true

local function decide_bucket(key, cost, interval, tolerance)
  local arrival = tonumber(redis.call('GET', key) or 0) or 0
  if not (arrival >= 0 and arrival < 9007199254740992) then
    arrival = 0
  end
  if arrival > now + tolerance + 1000000 then
    -- The clock was set back: a full bucket is what that may cost, not the length of the step.
    arrival = now + tolerance
    redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.max(1, math.ceil(tolerance / 1000)))
  end
  local full = math.max(arrival, now)
  local after = full + cost * interval
  local fits = after - now <= tolerance
  local lives = math.max(1, math.ceil((after - now) / 1000))
  return fits, 0, full, after, now, string.format('%.0f', after), lives
end

local function decide_window(key, cost, length, limit)
  local index = math.floor(now / length)
  local elapsed = now - index * length
  local previous, current = 0, 0
  local held, was, is = string.match(redis.call('GET', key) or '', '^(%d+):(%d+):(%d+)$')
  held = tonumber(held)
  if held == index then
    previous, current = tonumber(was), tonumber(is)
  elseif held == index - 1 then
    previous = tonumber(is)
  end
  local room = limit - current - cost
  local fits = room >= 0 and previous * (length - elapsed) <= room * length
  local lives = math.max(1, math.ceil((2 * length - elapsed) / 1000))
  local value = string.format('%.0f:%.0f:%.0f', index, previous, current + cost)
  return fits, previous, current, current + cost, elapsed, value, lives
end

for i = 1, #KEYS do
  local at = (i - 1) * 5
  local decide = ARGV[at + 1] == 'bucket' and decide_bucket or decide_window
  local cost, a, b = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local fits, first, before, after, clock, value, lives = decide(KEYS[i], cost, a, b)
  if fits then
    writes[#writes + 1] = { KEYS[i], value, lives }
  elseif ARGV[at + 2] == '1' then
    admitted = false
  end
  for _, number in ipairs({ fits and 1 or 0, first, before, after, clock }) do
    answer[#answer + 1] = number
  end
end

if admitted then
  for _, write in ipairs(writes) do
    redis.call('SET', write[1], write[2], 'PX', write[3])
  end
end
return answer
