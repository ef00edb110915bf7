-- Balances of members by chance.
local common = require("common")

function init(args) common.options(args) end

function request()
  common.next()
  return common.get("/v1/members/" .. common.member() .. "/balance")
end

function done(summary, latency) common.report(summary, latency) end
