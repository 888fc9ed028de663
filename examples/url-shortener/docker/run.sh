#!/usr/bin/env bash
# Starts the four services and waits until each is ready. HOST_PORT and API_PORT: where they are reached on this machine.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
compose up -d
for service in $services; do
  "$here/wait-healthy.sh" "$service"
done
echo "ready: http://127.0.0.1:${API_PORT:-8083} shortens, http://127.0.0.1:${HOST_PORT:-8080} is the host"
