-- A load of more than one plain path. Arguments after `--`, each KEY=VALUE:
--   depth=N     requests sent at once, without waiting for answers in between
--   think=MS    mean pause of a connection between answer and next request, exponential
--   keys=N      how many values {key} has in a path
--   fill=1      first PUT every key once: the warm-up does
--   SHARE METHOD BYTES PATH (not KEY=VALUE): one kind of request, its share, its body's size
dofile("scripts/hold.lua")

local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

local kinds, fill, filled, depth = {}, {}, 0, 1

local function one()
  if filled < #fill then
    filled = filled + 1
    return fill[filled]
  end
  local draw = math.random()
  for _, kind in ipairs(kinds) do
    draw = draw - kind.share
    if draw < 0 then return kind[math.random(#kind)] end
  end
  local last = kinds[#kinds]
  return last[math.random(#last)]
end

function init(args)
  math.randomseed(id)
  local set = { depth = 1, think = 0, keys = 1, fill = 0 }
  for _, text in ipairs(args) do
    local key, value = text:match("^(%l+)=([%d.]+)$")
    if key then
      set[key] = tonumber(value)
    else
      local share, method, bytes, path = text:match("^([%d.]+) (%u+) (%d+) (%S+)$")
      local body = tonumber(bytes) > 0 and string.rep("x", bytes) or nil
      local kind = { share = tonumber(share) }
      -- Formatted once: a request then costs a table look-up.
      for key = 1, path:find("{key}", 1, true) and set.keys or 1 do
        kind[key] = wrk.format(method, (path:gsub("{key}", key)), nil, body)
      end
      kinds[#kinds + 1] = kind
      if method == "PUT" and set.fill == 1 then
        for _, put in ipairs(kind) do fill[#fill + 1] = put end
      end
    end
  end
  depth = set.depth
  if set.think > 0 then
    function delay()
      return math.floor(0.5 - set.think * math.log(1 - math.random()))
    end
  end
end

-- wrk asks thread 1 for a request that it only counts and does not send: the fill starts again.
local calls = 0
function request()
  calls = calls + 1
  if calls == 2 then filled = 0 end
  if depth == 1 then return one() end
  local batch = {}
  for i = 1, depth do batch[i] = one() end
  return table.concat(batch)
end
