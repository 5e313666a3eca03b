-- Which jobs ended after a place in the list. KEYS: stream, floor. ARGV: most; and life, ms and sequence number, or nothing.
if lonely then return {'lonely'} end
if #ARGV < 4 then
  local last = '0-0'
  if redis.call('EXISTS', KEYS[1]) == 1 then
    local about = redis.call('XINFO', 'STREAM', KEYS[1])
    for at = 1, #about, 2 do
      if about[at] == 'last-generated-id' then last = about[at + 1] end
    end
  end
  return {'since', life, last}
end
if ARGV[4] ~= life then return {'lost'} end
local ms, number = tonumber(ARGV[5]), tonumber(ARGV[6])
local floor = redis.call('GET', KEYS[2])
if floor then
  local floor_ms, floor_number = string.match(floor, '^(%d+)-(%d+)$')
  floor_ms, floor_number = tonumber(floor_ms), tonumber(floor_number)
  if ms < floor_ms or (ms == floor_ms and number < floor_number) then return {'lost'} end
end
local last = ARGV[5] .. '-' .. ARGV[6]
local answer = {'since', life, last}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', ARGV[3])) do
  answer[3] = entry[1]
  answer[#answer + 1] = entry[2][2]
end
return answer
