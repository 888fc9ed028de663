#!/usr/bin/env bash
# Uses the running containers as a person would, and looks at what comes back: calls, a restart of storage, degraded mode.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
host=http://127.0.0.1:${HOST_PORT:-8080}
export API_URL=http://127.0.0.1:${API_PORT:-8083}

cli() {
  node "$repository/packages/toolchain/run.mjs" node "$here/../cli/src/main.ts" "$@"
}
fail() {
  echo "FAILED: $1" >&2
  compose logs --tail=20 >&2
  exit 1
}
# Waits until the host has written a line that fits: host_says SINCE PATTERN. Gives up after 30 s.
host_says() {
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    compose logs --no-color host | tail -n "+$1" | grep -qE "$2" && return 0
    sleep 0.5
  done
  fail "the host never said: $2"
}
lines() {
  compose logs --no-color host | wc -l
}

host_says 1 "api is available"
url=https://example.org/in/a/container
code=$(cli shorten "$url") || fail "shorten"
[ "$(cli resolve "$code")" = "$url" ] || fail "resolve"
location=$(curl -sS -o /dev/null -w '%{http_code} %{redirect_url}' "$API_URL/r/$code")
[ "$location" = "302 $url" ] || fail "redirect: $location"
curl -sS "$host/graph" | grep -q '"storage"' || fail "graph"
host_says 1 "call api -> storage .*Save ok"
echo "ok: $code is $url, through host and storage"

since=$(lines)
compose restart storage >/dev/null 2>&1
"$here/wait-healthy.sh" storage
host_says "$since" "storage is available"
[ "$(cli resolve "$code")" = "$url" ] || fail "resolve after a restart"
echo "ok: storage was restarted, and still knows"

since=$(lines)
compose kill logger >/dev/null 2>&1
host_says "$since" "logger is unavailable"
host_says "$since" "api is degraded"
cli shorten "$url/2" >/dev/null || fail "shorten without a logger"
echo "ok: without a logger the others are degraded, and work"

since=$(lines)
compose up -d logger >/dev/null 2>&1
host_says "$since" "api is available"
echo "ok: the logger is back, and all recovered"
