-- Uploads of many purchases at once, as NDJSON.
local common = require("common")
local baskets, size

function init(args)
  local options = common.options(args)
  baskets = common.read_lines(options.baskets)
  size = tonumber(options.size)
end

function request()
  local upload = common.tag .. "-" .. common.next() .. "-"
  local lines = {}
  for place = 1, size do
    lines[place] = '{"kind":"purchase","purchase_id":"' .. upload .. place .. '","member":"' .. common.member()
      .. '","occurred_at":"' .. common.now() .. '",' .. baskets[math.random(#baskets)]
  end
  return common.post("/v1/purchases/batch", table.concat(lines, "\n"), "application/x-ndjson")
end

function done(summary, latency) common.report(summary, latency) end
