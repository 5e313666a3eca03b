-- The state of a token, or else the lease, in one step: two askers never both find nothing and both take it.
-- KEYS: token, lease. ARGV: max age, owner, lease in ms, unknown tokens a second.
local max_age, owner, lease_time, most = tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
local t = redis.call('HMGET', KEYS[1], 's', 'j', 'p', 'c', 'e', 'v', 'm')
local state, seen = t[1], {false, false, false}
if state == 'running' then
  local job = redis.call('HMGET', prefix .. 'j:' .. t[2], 's', 'n', 'e', 'm')
  if job[1] == 'ended' then
    state = 'ended'
  else
    seen = {job[2], job[3], job[4]}
  end
end
if state == 'ended' then return {'needless', text(now), life, 'ended'} end
if lonely then return {'lonely'} end
-- Clocks of two lives are not compared.
local since = 0
if state and t[5] == life then since = tonumber(t[4]) end
if seen[2] == life and tonumber(seen[1]) > since then since = tonumber(seen[1]) end
if since == 0 then state = false end
local lease = 'needless'
if not state or now - since > max_age then
  local second = prefix .. 'u:' .. text(math.floor(now / 1000))
  if redis.call('EXISTS', KEYS[2]) == 1 then
    lease = 'theirs'
  elseif not state and tonumber(redis.call('GET', second) or '0') >= most then
    lease = 'many'
  else
    lease = 'yours'
    redis.call('SET', KEYS[2], owner, 'PX', lease_time)
    if not state then
      redis.call('INCR', second)
      redis.call('PEXPIRE', second, 2000)
    end
  end
end
if not state then return {lease, text(now), life, false} end
return {lease, text(now), life, state, t[2], t[3], t[4], t[5], t[6], t[7], seen[1], seen[2], seen[3]}
