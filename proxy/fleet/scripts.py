"""What Redis does in one step, in Lua. Each script begins its reply with Redis's clock, in milliseconds.

All times are of that one clock, so that replicas whose clocks differ agree on what was later. For each deployment there
are, under one prefix:

- `v:<key>`: the last sight of an original, `seen|purged|kind|modified|version`; the kind is `v` (it was there), `m` (it
  was missing) or `p` (it was purged then), and `purged` is when it was purged last. Written only by a later sight than
  the one that is there.
- `epoch`: when whole prefixes or plans were purged last. Nothing that was seen before counts; coarse, and rare.
- `t:<name>`: the turn of one result, `state|token|asked|rest`; the state is `h` (held) or, for a moment after it,
  `saved`, `unsaved` or `failed` with the error as the rest. `asked` says what it was made of was seen when.
- `look:<key>`: somebody is looking at the original.
- `said`: a stream of what everybody must hear, the last thousand messages.
"""

from __future__ import annotations

_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = tonumber(redis.call('GET', KEYS[1]) or '0')
local function sight(place)
  local text = redis.call('GET', place)
  if not text then return {epoch, 'p', '', '', epoch} end
  local seen, purged, kind, modified, version = string.match(text, '^(%d+)|(%d+)|(%a)|([^|]*)|(.*)$')
  seen, purged = tonumber(seen), tonumber(purged)
  if seen > now + 1000 then return {now, 'p', '', '', now} end -- the clock was set back: believe nothing for so long
  if seen <= epoch then return {epoch, 'p', '', '', epoch} end
  return {seen, kind, modified, version, math.max(purged, epoch)}
end
"""

TELL = (
    _BEGIN
    + """
-- KEYS: epoch, v, said. ARGV: seen, kind, modified, version, lifetime, from, data
local seen, lifetime = tonumber(ARGV[1]), tonumber(ARGV[5]) - (now - tonumber(ARGV[1]))
local before = sight(KEYS[2])
if lifetime <= 0 or seen <= before[1] then return {now} end
local text = table.concat({ARGV[1], before[5], ARGV[2], ARGV[3], ARGV[4]}, '|')
redis.call('SET', KEYS[2], text, 'PX', lifetime)
if before[2] ~= 'p' and (before[2] ~= ARGV[2] or before[4] ~= ARGV[4]) then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000, '*', 'from', ARGV[6], 'what', 'seen', 'data', ARGV[7])
end
return {now}
"""
)

RECALL = (
    _BEGIN
    + """
-- KEYS: epoch, v, look. ARGV: milliseconds to look for; 0: not at all
local known = sight(KEYS[2])
local ours = 1
if known[2] == 'p' and ARGV[1] ~= '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) then ours = 0 end
return {now, known, ours}
"""
)

CLAIM = (
    _BEGIN
    + """
-- KEYS: epoch, v, t. ARGV: token, lease, past
local known = sight(KEYS[2])
local held = redis.call('GET', KEYS[3])
if held then
  local state, token, asked, rest = string.match(held, '^(%a+)|([^|]*)|(%d+)|(.*)$')
  if state == 'h' or (token ~= ARGV[3] and tonumber(asked) > known[5]) then
    return {now, known, state, token, rest, redis.call('PTTL', KEYS[3])}
  end
end
redis.call('SET', KEYS[3], 'h|' .. ARGV[1] .. '|' .. now .. '|', 'PX', ARGV[2])
return {now, known, 'ours', ARGV[1], '', 0}
"""
)

RENEW = (
    _BEGIN
    + """
-- KEYS: epoch, t… ARGV: lease, token…
for place = 2, #KEYS do
  local held = redis.call('GET', KEYS[place])
  if held and string.sub(held, 1, 3 + #ARGV[place]) == 'h|' .. ARGV[place] .. '|' then
    redis.call('PEXPIRE', KEYS[place], ARGV[1])
  end
end
return {now}
"""
)

END = (
    _BEGIN
    + """
-- KEYS: epoch, v, t. ARGV: token, state, seen, version, rest, lifetime. State 'saved' asks whether it may stay.
local stays = 1
if ARGV[2] == 'saved' then
  local known, seen = sight(KEYS[2]), tonumber(ARGV[3])
  local other = known[2] ~= 'p' and known[4] ~= ARGV[4]
  if seen <= known[5] or (other and seen <= known[1]) then stays = 0 end
end
local held = redis.call('GET', KEYS[3])
if held and string.sub(held, 1, 3 + #ARGV[1]) == 'h|' .. ARGV[1] .. '|' then
  if ARGV[2] == 'ours' or stays == 0 then
    redis.call('DEL', KEYS[3])
  else
    local seen = ARGV[3] ~= '' and ARGV[3] or string.match(held, '^%a|[^|]*|(%d+)|')
    redis.call('SET', KEYS[3], ARGV[2] .. '|' .. ARGV[1] .. '|' .. seen .. '|' .. ARGV[5], 'PX', ARGV[6])
  end
end
return {now, stays}
"""
)

SAY = (
    _BEGIN
    + """
-- KEYS: epoch, said, v… ARGV: from, what, data, lifetime, whether to begin an epoch
for place = 3, #KEYS do redis.call('SET', KEYS[place], now .. '|' .. now .. '|p||', 'PX', ARGV[4]) end
if ARGV[5] == '1' then redis.call('SET', KEYS[1], now, 'PX', ARGV[4]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'from', ARGV[1], 'what', ARGV[2], 'data', ARGV[3])
return {now}
"""
)

GREET = (
    _BEGIN
    + """
-- KEYS: epoch, said, probe. ARGV: from, the last message heard ('' at first). Writes, to see that this is possible.
-- Replies with the message to go on after, and whether others were lost: then everything that is left is heard again.
redis.call('SET', KEYS[3], '1', 'PX', 1000)
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
if ARGV[2] == '' and #last > 0 then return {now, last[1][1], 0} end
if ARGV[2] ~= '' and #redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2]) > 0 then return {now, ARGV[2], 0} end
local id = redis.call('XADD', KEYS[2], '*', 'from', ARGV[1], 'what', 'greeting', 'data', '')
if ARGV[2] ~= '' then return {now, '0-0', 1} end
return {now, id, 0}
"""
)
