-- Keeps a lease of this life for so long at least, unless it is another's by now. KEYS: lease. ARGV: owner, ms.
if lonely then return {'lonely'} end
local lease = KEYS[1] .. life
redis.call('SET', lease, ARGV[3], 'NX', 'PX', ARGV[4])
if redis.call('GET', lease) ~= ARGV[3] then return {'theirs'} end
if redis.call('PTTL', lease) < tonumber(ARGV[4]) then redis.call('PEXPIRE', lease, ARGV[4]) end
return {'yours'}
