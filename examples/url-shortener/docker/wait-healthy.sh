#!/usr/bin/env bash
# Waits until Docker says that a service is healthy: wait-healthy.sh SERVICE. Gives up after 60 s, with its log.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
service=$1
container=$(compose ps -q "$service")
for ((tries = 0; tries < 120; tries++)); do
  state=$(docker inspect --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$container")
  [ "$state" = "running healthy" ] && exit 0
  [ "${state%% *}" = exited ] && break
  sleep 0.5
done
echo "$service is $state" >&2
compose logs --tail=50 "$service" >&2
exit 1
