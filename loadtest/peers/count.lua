-- The account: free places of all slots. ARGV as of fill.lua.
local first, sessions, slots = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local free = 0
for session = first, first + sessions - 1 do
  local key = 's' .. struct.pack('<I8', session)
  for slot = 0, slots - 1 do
    local left = tonumber(redis.call('GET', key .. struct.pack('<I2', slot)))
    if left < 0 then return -1 end
    free = free + left
  end
end
return free
