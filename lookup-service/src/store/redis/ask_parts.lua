-- Parts of a fact, or else the lease, in one step. What was known before a subject changed is not.
-- KEYS: lease, parts, subjects. ARGV: owner, lease in ms, a max age for each part.
if lonely then return {'lonely'} end
local last = 1 + #ARGV - 4
local since = changed(last + 1, life)
local answer, serve = {'needless', text(now), life}, true
for at = 2, last do
  local part = redis.call('HMGET', KEYS[at], 'c', 'e', 'v', 'm')
  local is_ours = part[2] == life and tonumber(part[1]) > since
  serve = serve and is_ours and now - tonumber(part[1]) <= tonumber(ARGV[at + 3])
  for field = 1, 4 do answer[#answer + 1] = is_ours and part[field] end
end
if not serve then
  answer[1] = redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4]) and 'yours' or 'theirs'
end
return answer
