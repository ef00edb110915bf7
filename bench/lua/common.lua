-- What the request scripts share. wrk runs one copy of a script in each of its threads.
-- Arguments come as key=value after `--`; ids are made of `tag`, so that no two runs send the same request.

local common = { sent = 0 }

function common.options(args)
  local found = {}
  for _, text in ipairs(args) do
    local key, value = text:match("^([%w_]+)=(.*)$")
    if key then found[key] = value end
  end
  common.most = tonumber(found.most or "1e9")
  common.pace_ms = tonumber(found.pace_ms or "0")
  common.members = tonumber(found.members or "1")
  common.hot_share = tonumber(found.hot_share or "0")
  common.hot_members = tonumber(found.hot_members or "10")
  common.tag = found.tag or "t"
  math.randomseed(tonumber(found.seed or "1"))
  common.head = "Host: bench\r\nAuthorization: Bearer " .. (found.key or "") .. "\r\n"
  return found
end

function common.post(path, body, media)
  return "POST " .. path .. " HTTP/1.1\r\n" .. common.head .. "Content-Type: " .. (media or "application/json")
    .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function common.get(path)
  return "GET " .. path .. " HTTP/1.1\r\n" .. common.head .. "\r\n"
end

function common.member()
  if common.hot_share > 0 and math.random() < common.hot_share then
    return string.format("m%08d", math.random(1, common.hot_members))
  end
  return string.format("m%08d", math.random(1, common.members))
end

-- The next number, and the end of the run when there were enough.
function common.next()
  common.sent = common.sent + 1
  if common.sent >= common.most then wrk.thread:stop() end
  return common.sent
end

local said_at, said = 0, ""
function common.now()
  local now = os.time()
  if now ~= said_at then
    said_at, said = now, os.date("!%Y-%m-%dT%H:%M:%SZ", now)
  end
  return said
end

function common.read_lines(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

-- A client thinks for a while between two requests: exponentially distributed, so that arrivals are not in step.
function common.think()
  return math.floor(-common.pace_ms * math.log(1 - math.random()) + 0.5)
end

function common.report(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"seconds":%.6f,"requests":%d,"bytes":%d,"refused":%d,"failed":%d,"timeouts":%d,'
      .. '"mean_ms":%.4f,"p50_ms":%.4f,"p90_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f}\n',
    summary.duration / 1e6, summary.requests, summary.bytes, e.status, e.connect + e.read + e.write, e.timeout,
    latency.mean / 1e3, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3))
end

return common
