-- What the forge said of parts. What was said later stands. KEYS: parts. ARGV: asked, life of that; then of each part its
-- value, seal and ms to live.
local asked, asked_in = ARGV[3], ARGV[4]
for at = 1, #KEYS do
  local old = redis.call('HMGET', KEYS[at], 'c', 'e')
  if old[2] ~= asked_in or tonumber(old[1]) <= tonumber(asked) then
    local value = 2 + at * 3
    redis.call('HSET', KEYS[at], 'c', asked, 'e', asked_in, 'v', ARGV[value], 'm', ARGV[value + 1])
    redis.call('PEXPIRE', KEYS[at], ARGV[value + 2])
  end
end
return {'ok'}
