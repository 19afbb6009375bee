-- A stand-in SMSBAT and a stand-in partner in one nginx worker, so that it costs little beside what is measured.
-- One worker: plain variables do.

local cjson = require "cjson"

local RATE, BURST = 100, 150 -- calls a second, and at once
local TELLERS = 16           -- webhook calls at a time
local TOLD_AFTER = 1.0       -- seconds from a message's call to the word of its end

local behaviour, counts
local tokens, filled_at
local next_id = 1546807
local known = {} -- every customerMessageId
local ends, first_end, last_end = {}, 1, 0 -- messages whose ends are to be told, in the order of their times

local smsbat = {}

local function forget()
  behaviour = { delay = 0, limited = false, hook = nil }
  counts = { messages = 0, calls = 0, too_many = 0, largest_call = 0, doubles = 0, told = 0, callbacks = 0 }
  tokens, filled_at = BURST, nil
  known = {}
  ends, first_end, last_end = {}, 1, 0
end

forget()

-- Whether SMSBAT's limit of calls allows one more.
local function admitted()
  if not behaviour.limited then
    return true
  end
  local now = ngx.now()
  tokens = math.min(BURST, tokens + (now - (filled_at or now)) * RATE)
  filled_at = now
  if tokens < 1 then
    counts.too_many = counts.too_many + 1
    return false
  end
  tokens = tokens - 1
  return true
end

local function answer(body)
  ngx.header.content_length = #body
  ngx.print(body)
end

local function wait()
  if behaviour.delay > 0 then
    ngx.sleep(behaviour.delay)
  end
end

local function entry(item)
  next_id = next_id + 1
  if known[item.customerMessageId] then
    counts.doubles = counts.doubles + 1
  end
  known[item.customerMessageId] = true
  if behaviour.hook then
    last_end = last_end + 1
    ends[last_end] = { id = next_id, at = ngx.now() + TOLD_AFTER }
  end
  return {
    messageId = next_id, from = item.from, to = item.to, text = item.text, dtExpire = cjson.null,
    customerMessageId = item.customerMessageId, partsCount = 1, type = item.type,
  }
end

-- POST /bat/messagelist: one entry for each message.
function smsbat.send()
  ngx.req.read_body()
  ngx.header.content_type = "application/json"
  counts.calls = counts.calls + 1
  if not admitted() then
    ngx.status = 429
    answer('{"error":"Too Many Requests","message":"Rate limit exceeded","status":429}')
    return
  end
  local items = cjson.decode(ngx.req.get_body_data()).messages
  wait()
  local entries = {}
  for i = 1, #items do
    entries[i] = entry(items[i])
  end
  counts.messages = counts.messages + #items
  counts.largest_call = math.max(counts.largest_call, #items)
  answer(cjson.encode({ messagelistId = 11292, messages = entries }))
end

-- What takes one message a call in a form of its own: Kannel's GET, and what the bare proxy passes on.
function smsbat.take_one(words)
  ngx.req.read_body()
  counts.calls = counts.calls + 1
  wait()
  counts.messages = counts.messages + 1
  answer(words)
end

-- The partner's script.
function smsbat.callback()
  ngx.req.read_body()
  counts.callbacks = counts.callbacks + 1
  answer("OK")
end

function smsbat.count()
  counts.waiting = last_end - first_end + 1
  answer(cjson.encode(counts))
end

local function post(socket, hook, body)
  local connected = socket:connect("127.0.0.1", hook.port)
  if not connected then
    return false
  end
  local head = "POST %s HTTP/1.1\r\nHost: smsbat\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
  if not socket:send(string.format(head, hook.path, #body, body)) then
    return false
  end
  local line = socket:receive()
  while line and line ~= "" do -- the answer has no body
    hook.answer = hook.answer or line
    line = socket:receive()
  end
  socket:setkeepalive(10000, TELLERS)
  return true
end

-- Tells the webhook of messages' ends, one message a call; what is not taken is told again.
local function tell(premature, wanted)
  while not premature and behaviour == wanted do
    local told = ends[first_end]
    if told and told.at <= ngx.now() then
      ends[first_end] = nil
      first_end = first_end + 1
      local hook = { port = behaviour.hook.port, path = behaviour.hook.path }
      local body = string.format('{"messageId":%d,"deliverystatus":"delivered","cost":0.05}', told.id)
      if post(ngx.socket.tcp(), hook, body) and hook.answer and hook.answer:find(" 200 ", 1, true) then
        counts.told = counts.told + 1
      else
        last_end = last_end + 1
        ends[last_end] = { id = told.id, at = ngx.now() + TOLD_AFTER }
      end
    else
      ngx.sleep(0.005)
    end
    premature = ngx.worker.exiting()
  end
end

-- GET /reset?delay=&limited=&hook_port=&hook_path=: forget everything, and behave like this from now on.
function smsbat.reset()
  local wanted = ngx.req.get_uri_args()
  forget()
  behaviour.delay = tonumber(wanted.delay) or 0
  behaviour.limited = wanted.limited == "1"
  if wanted.hook_port then
    behaviour.hook = { port = tonumber(wanted.hook_port), path = wanted.hook_path }
    for _ = 1, TELLERS do
      ngx.timer.at(0, tell, behaviour)
    end
  end
  answer("OK")
end

return smsbat
