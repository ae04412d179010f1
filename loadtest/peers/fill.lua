-- Opens sessions. ARGV 1 the first, 2 how many, 3 slots of each, 4 places of each slot.
local first, sessions, slots, places = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for session = first, first + sessions - 1 do
  local key = 's' .. struct.pack('<I8', session)
  for slot = 0, slots - 1 do
    redis.call('SET', key .. struct.pack('<I2', slot), places)
  end
end
return sessions * slots
