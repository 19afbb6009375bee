-- wrk's script: sends prepared requests in turn, and prints its figures as JSON.
-- Arguments: the file of prepared requests, each a decimal length, a newline, and so many bytes.

local requests, count, last = {}, 0, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local length = file:read("*n", "*l")
  while length do
    count = count + 1
    requests[count] = file:read(length)
    length = file:read("*n", "*l")
  end
  file:close()
  -- Each run begins somewhere else, so that runs behind each other do not send the same.
  last = tonumber(args[2]) % count
end

function request()
  last = last % count + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  local told = '{"answers":%d,"seconds":%.6f,"bytes":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n'
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  io.write(told:format(summary.requests, summary.duration / 1e6, summary.bytes, p50, p99, errors.status, broken))
end
