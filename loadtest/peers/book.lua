-- Confirms a hold. KEYS 1 hold, 2 due. ARGV 1 the id, 2 now in ms.
local known = redis.call('GET', KEYS[1])
if not known then return 600 end
local status = string.sub(known, 43)
if status == 'b' then return 1 end
if status == 'c' then return 602 end
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1])) <= tonumber(ARGV[2]) then return 602 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SETRANGE', KEYS[1], 42, 'b')
return 0
