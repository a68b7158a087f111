-- The history of one channel. KEYS: the head (a hash), the stream, and for a publish with an id the
-- key of that. All arguments that every call has come first; the rest is the call's own.
local head_key, stream = KEYS[1], KEYS[2]
local call, fresh, known_epoch, known_offset = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local ttl, size, max_bytes, keep = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local publish, channel, envelope = ARGV[9], ARGV[10], ARGV[11]
-- What an entry costs besides its message, about.
local EACH = 64

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

local stored = redis.call('HMGET', head_key, 'epoch', 'offset', 'bytes')
local epoch, offset, bytes = stored[1], tonumber(stored[2] or 0), tonumber(stored[3] or 0)
local function restart()
  redis.call('DEL', stream)
  epoch, offset, bytes = fresh, 0, 0
end
-- A Redis that knows less than an instance has lost something: a replica was promoted before it had
-- everything. Offsets must not be given out twice.
if not epoch or (epoch == known_epoch and offset < known_offset) then restart() end

local function save()
  redis.call('HSET', head_key, 'epoch', epoch, 'offset', text(offset), 'bytes', text(bytes))
  redis.call('PEXPIRE', head_key, keep)
end

if call == 'publish' then
  if KEYS[3] then
    local seen = redis.call('GET', KEYS[3])
    if seen and string.sub(seen, 1, #epoch) == epoch then
      save()
      return {epoch, string.sub(seen, #epoch + 1), '1'}
    end
  end
  local message = ARGV[12]
  offset = offset + 1
  redis.call('XADD', stream, text(offset) .. '-' .. text(now), 'm', message)
  local length = redis.call('XLEN', stream)
  -- The stream alone may have been evicted.
  if length == 1 then bytes = 0 end
  bytes = bytes + #message + EACH
  while length > 1 do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    local at = tonumber(string.match(oldest[1], '-(%d+)$'))
    if length <= size and bytes <= max_bytes and at + ttl > now then break end
    redis.call('XDEL', stream, oldest[1])
    bytes = bytes - #oldest[2][2] - EACH
    length = length - 1
  end
  redis.call('PEXPIRE', stream, text(ttl))
  save()
  if KEYS[3] then redis.call('SET', KEYS[3], epoch .. text(offset), 'PX', 300000) end
  redis.call(publish, channel, envelope .. epoch .. text(offset) .. ' ' .. message)
  return {epoch, text(offset), '0'}
end

if call == 'delete' then
  local before = ARGV[12]
  local all = before == ''
  if not all and before ~= '0' then
    local had = false
    while true do
      local old = redis.call('XRANGE', stream, '-', text(tonumber(before) - 1), 'COUNT', 100)
      if #old == 0 then break end
      had = true
      for _, entry in ipairs(old) do
        redis.call('XDEL', stream, entry[1])
        bytes = bytes - #entry[2][2] - EACH
      end
    end
    all = had and redis.call('XLEN', stream) == 0
  end
  if all then restart() end
  save()
  redis.call(publish, channel, envelope .. epoch .. text(offset) .. ' ' .. before)
  return {epoch, text(offset)}
end

save()
if call == 'head' then return {epoch, text(offset)} end

-- Messages from an offset on, about so many bytes of them, and the offset to go on from.
local from, room = ARGV[12], tonumber(ARGV[13])
local parts, first, last = {}, nil, nil
local next_from = from
while room > 0 do
  local entries = redis.call('XRANGE', stream, next_from, '+', 'COUNT', 50)
  if #entries == 0 then next_from = nil break end
  for _, entry in ipairs(entries) do
    local number, at = string.match(entry[1], '^(%d+)-(%d+)$')
    if first or tonumber(at) + ttl > now then
      local message = entry[2][2]
      first = first or number
      parts[#parts + 1] = text(math.max(now - tonumber(at), 0)) .. ' ' .. #message .. ' '
      parts[#parts + 1] = message
      room = room - #message - EACH
    end
    last = number
    if room <= 0 then break end
  end
  next_from = text(tonumber(last) + 1)
end
return {epoch, text(offset), first or '', next_from or '', table.concat(parts)}
