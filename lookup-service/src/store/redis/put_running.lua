-- The forge said that a token's job runs. An ended one stays ended, and what was said later stands.
-- KEYS: token. ARGV: job, project, confirmed, life of that, answer, seal, ms to live, ms that a job lives.
local job, project, confirmed, confirmed_in = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = prefix .. 'j:' .. job
local old = redis.call('HMGET', KEYS[1], 's', 'c', 'e')
if old[1] == 'ended' or redis.call('HGET', key, 's') == 'ended' then return finished(KEYS[1]) end
-- It is nobody's unknown token any more.
local second = prefix .. 'u:' .. text(math.floor(tonumber(confirmed) / 1000))
if tonumber(redis.call('GET', second) or '0') > 0 then redis.call('DECR', second) end
redis.call('HSET', key, 's', 'running', 'p', project)
redis.call('PEXPIRE', key, ARGV[10])
redis.call('ZADD', prefix .. 'r', 'NX', confirmed, job)
redis.call('ZREMRANGEBYSCORE', prefix .. 'r', '-inf', text(now - tonumber(ARGV[10])))
if old[1] and old[3] == confirmed_in and tonumber(old[2]) > tonumber(confirmed) then return {'running'} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 's', 'running', 'j', job, 'p', project, 'c', confirmed, 'e', confirmed_in, 'v', ARGV[7], 'm', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return {'running'}
