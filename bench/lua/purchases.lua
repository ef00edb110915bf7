-- Single purchases: a new id, a member by chance, the time of now, and one of the baskets made beforehand.
local common = require("common")
local baskets

function init(args)
  local options = common.options(args)
  baskets = common.read_lines(options.baskets)
  if common.pace_ms > 0 then delay = common.think end
end

function request()
  local id = common.tag .. "-" .. common.next()
  return common.post("/v1/purchases", '{"purchase_id":"' .. id .. '","member":"' .. common.member()
    .. '","occurred_at":"' .. common.now() .. '",' .. baskets[math.random(#baskets)])
end

function done(summary, latency) common.report(summary, latency) end
