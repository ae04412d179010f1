-- The least that cannot oversell and gives the place back: no id that may come twice, no limits, no
-- restrictions, not one for each patient. Keys and arguments are those of hold.lua.
local free = redis.call('GET', KEYS[2])
if free == '0' then return 405 end
if not free then return 403 end
redis.call('DECR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1] .. 'p')
redis.call('ZADD', KEYS[5], ARGV[4], ARGV[3])
return 0
