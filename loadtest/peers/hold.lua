-- A hold with everything that haoyuan checks: idempotent by its id, one live appointment of a patient
-- in a session, a limit of live appointments, restrictions, places, a deadline.
--
-- KEYS  1 hold   h<id>                the record, 42 bytes of who and what, then the status: p, b or c
--       2 slot   s<session><slot>     free places
--       3 person l<patient>           a hash: session -> id, of what is live
--       4 block  r<patient>           exists while the patient is restricted
--       5 due                         a sorted set of holds by deadline: <id>
-- ARGV  1 the record without status   patient 16, session 8, slot 2, account 16 bytes
--       2 the session (8 bytes)   3 the id (16 bytes)   4 the deadline in ms   5 the limit
--
-- Answers are haoyuan's outcome codes. What is refused as sold out costs two reads.
local free = redis.call('GET', KEYS[2])
local known = redis.call('GET', KEYS[1])
if known then
  if string.sub(known, 1, 42) == ARGV[1] then return 1 end
  return 400
end
if not free then return 403 end
if free == '0' then return 405 end
if redis.call('EXISTS', KEYS[4]) == 1 then return 510 end
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then return 500 end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then return 511 end
redis.call('DECR', KEYS[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. 'p')
redis.call('ZADD', KEYS[5], ARGV[4], ARGV[3])
return 0
