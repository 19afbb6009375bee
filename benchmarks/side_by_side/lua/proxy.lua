-- The rival inside nginx: md5, translation, one call to SMSBAT for each message, XML answer. Nothing is stored.

local cjson = require "cjson"

local SECRET, KEY = "4Ab2ln4FEa32", "sandbox-key"
local DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
local ACCEPTED = '<?xml version="1.0"?>\n<response>\n  <tech_message>OK</tech_message>\n  <code>0</code>\n'
  .. '  <msg_id phone="%s">%s</msg_id>\n</response>\n'
local REFUSED = DECLARATION .. "<response>\n  <code>%d</code>\n  <tech_message>%s</tech_message>\n</response>\n"

local proxy = {}

local function new_id()
  local random = ngx.md5(ngx.now() .. ":" .. math.random() .. ":" .. ngx.var.connection)
  return random:gsub("^(........)(....).(...).(...)(............)$", "%1-%2-4%3-8%4-%5", 1)
end

local function answer(body)
  ngx.header.content_type = "text/xml; charset=utf-8"
  ngx.header.content_length = #body
  ngx.print(body)
end

function proxy.send()
  ngx.req.read_body()
  local form = ngx.req.get_post_args()
  if ngx.md5(form.user .. form.from .. form.phone .. form.txt .. SECRET) ~= form.sign then
    return answer(REFUSED:format(-2, "AUTH ERROR (sign)"))
  end
  local id = new_id()
  local item = { from = form.from, to = form.phone, type = "viber_promo", text = form.txt, ttl = 86400 }
  item.customerMessageId = id
  ngx.req.set_header("Content-Type", "application/json")
  ngx.req.set_header("X-Authorization-Key", KEY)
  local call = { method = ngx.HTTP_POST, body = cjson.encode({ messages = { item } }) }
  local told = ngx.location.capture("/smsbat", call)
  if told.status ~= 200 or not cjson.decode(told.body).messages[1].messageId then
    return answer(REFUSED:format(-4, "TEMPORARY ERROR"))
  end
  answer(ACCEPTED:format(form.phone, id))
end

return proxy
