-- Gives a lease back that is still ours. KEYS: lease. ARGV: owner.
if redis.call('GET', KEYS[1]) == ARGV[3] then redis.call('DEL', KEYS[1]) end
return {'ok'}
