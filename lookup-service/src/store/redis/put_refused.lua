-- The forge said that a token is no running job's. The job of one that was running has ended by that, where `ends` says so.
-- KEYS: token. ARGV: state, name, asked, life of that, seal, ms to live, ends.
local state, name, asked, asked_in = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local old = redis.call('HMGET', KEYS[1], 's', 'j', 'p', 'c', 'e', 'v', 'm')
if old[1] == 'ended' then return finished(KEYS[1]) end
if old[1] == 'running' then
  if redis.call('HGET', prefix .. 'j:' .. old[2], 's') == 'ended' then return finished(KEYS[1]) end
  if old[5] == asked_in and tonumber(old[4]) > tonumber(asked) then
    return {'running', old[2], old[3], old[4], old[5], old[6], old[7]}
  end
  if ARGV[9] == '1' then
    finish(old[2])
    return finished(KEYS[1])
  end
end
if state == 'ended' then return finished(KEYS[1]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 's', 'refused', 'j', '', 'p', '', 'c', asked, 'e', asked_in, 'v', name, 'm', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[8])
return {'refused'}
