-- What every script begins with. ARGV[1]: how many good replicas there must be; ARGV[2]: what all keys begin with.
local prefix = ARGV[2]
local info = redis.call('INFO', 'replication')
local life = string.sub(string.match(info, 'master_replid:(%x+)'), 1, 16)
local good = tonumber(string.match(info, 'min_slaves_good_slaves:(%d+)'))
local lonely = tonumber(ARGV[1]) > 0 and (good == nil or good < tonumber(ARGV[1]))
-- The time is Redis' own. As text, because Lua would write it with an exponent.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

-- How long that a job ended is remembered, in milliseconds.
local ENDED = 3600 * 1000

-- A job ended. One that has ended already is written all the same: whoever repeats it has a write to wait for.
local function finish(job)
  local key = prefix .. 'j:' .. job
  if redis.call('HGET', key, 's') == 'ended' then
    redis.call('PEXPIRE', key, ENDED)
    return
  end
  redis.call('HSET', key, 's', 'ended')
  redis.call('HDEL', key, 'n', 'e', 'm')
  redis.call('PEXPIRE', key, ENDED)
  -- The newest entry that may be taken out: whoever is there, or further, misses nothing, however long nothing ended.
  local oldest = text(now - ENDED)
  local out = redis.call('XREVRANGE', prefix .. 'x', oldest, '-', 'COUNT', 1)
  if out[1] then redis.call('SET', prefix .. 'floor', out[1][1]) end
  redis.call('XADD', prefix .. 'x', 'MINID', '~', oldest, '*', 'j', job)
  redis.call('ZREM', prefix .. 'r', job)
end

-- A token is an ended job's.
local function finished(token)
  redis.call('DEL', token)
  redis.call('HSET', token, 's', 'ended')
  redis.call('PEXPIRE', token, ENDED)
  return {'ended'}
end

-- When, in a life, the last of the subjects changed that are the keys from a place on; -1 where none did.
local function changed(from, in_life)
  local last = -1
  for at = from, #KEYS do
    local subject = redis.call('HMGET', KEYS[at], 'c', 'e')
    if subject[2] == in_life then last = math.max(last, tonumber(subject[1])) end
  end
  return last
end
