#!/usr/bin/env bash
# Runs a command with a Docker engine: the one that runs, or else one of its own, which ends with the command and leaves
# nothing behind. with-engine.sh COMMAND... Exit code 75: there is no engine to be had.
set -euo pipefail
docker info >/dev/null 2>&1 && exec "$@"

if ! command -v dockerd >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "no Docker engine runs, and none can be started: it takes root and dockerd (Debian package docker.io)" >&2
  exit 75
fi
place=$(mktemp -d)
dockerd --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" -H "unix://$place/socket" \
  >"$place/log" 2>&1 &
engine=$!
finish() {
  local code=$?
  trap - EXIT
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  rm -rf "$place" || true
  exit "$code"
}
trap finish EXIT
trap 'exit 143' TERM INT
export DOCKER_HOST="unix://$place/socket"
for ((tries = 0; tries < 120; tries++)); do
  docker info >/dev/null 2>&1 && break
  kill -0 "$engine" 2>/dev/null || break
  sleep 0.5
done
docker info >/dev/null 2>&1 || {
  tail -n 20 "$place/log" >&2
  exit 75
}
"$@"
