-- wrk: send distinct targets from a file, and say what came of it as one line of JSON.
-- Arguments: the file ("-" for always the same path), the first line to use, how many, the path for "-", how many threads.

local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init(args)
   requests, position, wrapped = {}, 0, 0
   local file, first, count, path, all = args[1], tonumber(args[2]), tonumber(args[3]), args[4], tonumber(args[5])
   if file == "-" then
      requests[1] = wrk.format("GET", path)
      return
   end
   local line_number = 0
   for line in io.lines(file) do
      if line_number >= first + count then break end
      if line_number >= first and line_number % all == number then
         requests[#requests + 1] = wrk.format("GET", line)
      end
      line_number = line_number + 1
   end
end

function request()
   position = position + 1
   if position > #requests then
      position, wrapped = 1, wrapped + 1
   end
   return requests[position]
end

function done(summary, latency, _)
   local wraps = 0
   for _, thread in ipairs(threads) do
      wraps = wraps + thread:get("wrapped")
   end
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"answers":%d,"seconds":%.6f,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,' ..
      '"refused":%d,"broken":%d,"timeouts":%d,"wraps":%d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(90),
      latency:percentile(99), latency.max, errors.status, errors.connect + errors.read + errors.write,
      errors.timeout, wraps))
end
