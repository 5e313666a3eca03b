-- The jobs that were known to run before. KEYS: running jobs. ARGV: before.
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
