-- What the forge said of parts. What was said later stands, and nothing is kept where a subject changed since it was asked.
-- KEYS: parts, subjects. ARGV: asked, life of that; then of each part its value, seal and ms to live.
local asked, asked_in, last = ARGV[3], ARGV[4], (#ARGV - 4) / 3
if changed(last + 1, asked_in) >= tonumber(asked) then return {'changed'} end
for at = 1, last do
  local old = redis.call('HMGET', KEYS[at], 'c', 'e')
  if old[2] ~= asked_in or tonumber(old[1]) <= tonumber(asked) then
    local value = 2 + at * 3
    redis.call('HSET', KEYS[at], 'c', asked, 'e', asked_in, 'v', ARGV[value], 'm', ARGV[value + 1])
    redis.call('PEXPIRE', KEYS[at], ARGV[value + 2])
  end
end
return {'ok'}
