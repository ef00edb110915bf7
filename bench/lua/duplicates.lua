-- The same few purchases again and again.
local common = require("common")
local baskets, moment

function init(args)
  baskets = common.read_lines(common.options(args).baskets)
  moment = common.now()
end

function request()
  local one = common.next() % 50 + 1
  return common.post("/v1/purchases", '{"purchase_id":"' .. common.tag .. "-" .. one .. '","member":"'
    .. string.format("m%08d", one) .. '","occurred_at":"' .. moment .. '",' .. baskets[one])
end

function done(summary, latency) common.report(summary, latency) end
