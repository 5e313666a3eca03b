-- A sweep saw jobs run. ARGV: then, life of that; then of each job its number and seal.
for at = 5, #ARGV, 2 do
  local key = prefix .. 'j:' .. ARGV[at]
  local old = redis.call('HMGET', key, 's', 'n', 'e')
  if old[1] == 'running' and (old[3] ~= ARGV[4] or tonumber(old[2]) < tonumber(ARGV[3])) then
    redis.call('HSET', key, 'n', ARGV[3], 'e', ARGV[4], 'm', ARGV[at + 1])
  end
end
return {'ok'}
