-- Ends a hold or a booking and gives the place back. The id is remembered for a day: who asks again
-- gets no second place. KEYS 1 hold, 2 slot, 3 person, 4 due. ARGV 1 the session, 2 the id.
local known = redis.call('GET', KEYS[1])
if not known then return 600 end
if string.sub(known, 43) == 'c' then return 1 end
redis.call('SET', KEYS[1], string.sub(known, 1, 42) .. 'c', 'EX', 86400)
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('INCR', KEYS[2])
return 0
