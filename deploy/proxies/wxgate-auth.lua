-- deploy/proxies/wxgate-auth.lua: asks the service listener of wxgate about the token of a request
local VERIFY = "http://127.0.0.1:9090/auth/verify"
local TIMEOUT_MS = 2000
local IDENTITY = { "x-openid", "x-unionid", "x-appid", "x-user-id", "x-user-status", "x-session-id" }

local function answer(txn, status, reason, headers, body)
  local reply = txn:reply({ status = status, reason = reason, headers = headers, body = body })
  txn:done(reply)
end

core.register_action("wxgate_verify", { "http-req" }, function(txn)
  local values = {}
  local sent = txn.http:req_get_headers()["authorization"]
  -- HAProxy counts the values of a header from 0.
  if sent ~= nil then
    for index = 0, #sent do
      values[#values + 1] = sent[index]
    end
  end
  local response = core.httpclient():get({
    url = VERIFY,
    headers = { ["host"] = { "127.0.0.1" }, ["authorization"] = #values > 0 and values or nil },
    timeout = TIMEOUT_MS
  })
  if response == nil or response.status == 0 or response.status >= 500 then
    return answer(txn, 503, "Service Unavailable", { ["retry-after"] = { "1" } }, "")
  end
  if response.status ~= 204 then
    local headers = {}
    for _, name in ipairs({ "content-type", "www-authenticate", "cache-control" }) do
      local value = response.headers[name]
      if value ~= nil then headers[name] = { value[0] } end
    end
    return answer(txn, response.status, response.reason, headers, response.body)
  end
  for _, name in ipairs(IDENTITY) do
    local value = response.headers[name]
    if value ~= nil then txn.http:req_set_header(name, value[0]) end
  end
end)
