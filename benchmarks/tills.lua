-- Tills for wrk: each request is a new earn (three of four) or burn (one of four) by some merchant's
-- key for some member's card, under an Idempotency-Key of its own. What a thread asks follows from
-- the round's name and the thread's number alone.
-- Arguments: cards file, keys file, round's name, seed, mean pause between a connection's requests
-- in ms (0: none).

local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

local function lines_of(path)
   local found = {}
   for line in io.lines(path) do found[#found + 1] = line end
   return found
end

function init(args)
   cards, keys, round = lines_of(args[1]), lines_of(args[2]), args[3]
   pause_ms = tonumber(args[5])
   math.randomseed(tonumber(args[4]) * 100 + number)
   count, created, short, others, sample = 0, 0, 0, 0, ""
   if pause_ms > 0 then
      -- Spread out, so that connections do not come in waves.
      function delay() return math.random(0, 2 * pause_ms) end
   end
end

local head = "POST /v1/%s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n" ..
   "Content-Type: application/json\r\nIdempotency-Key: %s-%d-%d\r\nContent-Length: %d\r\n\r\n%s"

function request()
   count = count + 1
   local card, key = cards[math.random(#cards)], keys[math.random(#keys)]
   local path, body
   if math.random(4) == 1 then
      path = "burns"
      body = string.format('{"card":"%s","points":%d,"reference":"receipt-%d"}',
         card, math.random(50, 250), count)
   else
      local amount = math.random(1000, 30000)
      path = "earns"
      body = string.format('{"card":"%s","amount":%d,"currency":"CNY",' ..
         '"items":[{"category":"food","amount":%d}],"reference":"receipt-%d"}',
         card, amount, math.floor(amount / 2), count)
   end
   return string.format(head, path, key, round, number, count, #body, body)
end

function response(status, headers, body)
   if status == 201 then
      created = created + 1
   elseif status == 409 and string.find(body, "insufficient_points", 1, true) then
      short = short + 1
   else
      others = others + 1
      if sample == "" then sample = status .. " " .. string.sub(body, 1, 200) end
   end
end

function done(summary, latency, requests)
   local created, short, others, sample = 0, 0, 0, ""
   for _, thread in ipairs(threads) do
      created = created + thread:get("created")
      short = short + thread:get("short")
      others = others + thread:get("others")
      if sample == "" then sample = thread:get("sample") end
   end
   local errors = summary.errors
   io.write(string.format(
      "figures %d %d %d %d %.3f %.3f %.3f %.3f %d\n%s\n",
      created, short, others, summary.duration, latency.mean / 1000, latency:percentile(50) / 1000,
      latency:percentile(99) / 1000, latency.max / 1000,
      errors.connect + errors.read + errors.write + errors.timeout, sample))
end
