-- What a broken or hostile client sends: JSON cut short, wrong types, unknown fields, unknown members, long bodies.
local common = require("common")
local bodies

function init(args)
  common.options(args)
  local line = '{"sku":"LAMP-1","amount":1990}'
  bodies = {
    '{"purchase_id":"r',
    '[1,2,3]',
    '{"purchase_id":7,"member":true}',
    '{"purchase_id":"r-1","member":"m-nobody","channel":"pos","lines":[' .. line .. ']}',
    '{"purchase_id":"r-1","member":"m00000001","channel":"pos","lines":[' .. line .. '],"nonsense":1}',
    '{"purchase_id":"r-1","member":"m00000001","channel":"pos","lines":[' .. string.rep(line .. ",", 2000) .. "0]}",
    string.rep("x", 50000),
    "",
  }
end

function request()
  common.next()
  return common.post("/v1/purchases", bodies[math.random(#bodies)])
end

function done(summary, latency) common.report(summary, latency) end
