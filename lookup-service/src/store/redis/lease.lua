-- A lease of this life: what another life was about is to be done once more. KEYS: lease. ARGV: owner, ms.
if lonely then return {'lonely'} end
local is_ours = redis.call('SET', KEYS[1] .. life, ARGV[3], 'NX', 'PX', ARGV[4])
return {is_ours and 'yours' or 'theirs', text(now), life}
