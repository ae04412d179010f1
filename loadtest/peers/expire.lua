-- Ends what is due, a thousand at a time, and gives the places back. Called ten times a second.
-- KEYS 1 due. ARGV 1 now in ms. Answers how many ended.
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
for _, id in ipairs(ids) do
  local hold = redis.call('GET', 'h' .. id)
  redis.call('SET', 'h' .. id, string.sub(hold, 1, 42) .. 'c', 'EX', 86400)
  redis.call('HDEL', 'l' .. string.sub(hold, 1, 16), string.sub(hold, 17, 24))
  redis.call('INCR', 's' .. string.sub(hold, 17, 26))
  redis.call('ZREM', KEYS[1], id)
end
return #ids
