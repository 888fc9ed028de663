#!/usr/bin/env bash
# Removes containers, network, data and images of this example.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
compose down --volumes --remove-orphans --timeout 10
for service in $services; do
  docker image rm --force "url-shortener-$service" >/dev/null 2>&1 || true
done
