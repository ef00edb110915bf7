-- Redemptions of 100 points by members by chance.
local common = require("common")

function init(args) common.options(args) end

function request()
  local id = common.tag .. "-" .. common.next()
  return common.post("/v1/redemptions",
    '{"redemption_id":"' .. id .. '","member":"' .. common.member() .. '","points":100}')
end

function done(summary, latency) common.report(summary, latency) end
