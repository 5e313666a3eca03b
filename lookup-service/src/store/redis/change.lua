-- These changed. Whatever loses this loses the parts as well. KEYS: subjects. ARGV: ms to live.
for at = 1, #KEYS do
  redis.call('DEL', KEYS[at])
  redis.call('HSET', KEYS[at], 'c', text(now), 'e', life)
  redis.call('PEXPIRE', KEYS[at], ARGV[3])
end
return {'ok'}
