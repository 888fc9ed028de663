#!/usr/bin/env bash
# The whole round, on any machine with an engine or what it takes to start one: setup, run, test, cleanup. Where the base
# image cannot be pulled, one is made. Skips with a message where there is no engine, but not in CI.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"

if [ "${1:-}" != "with engine" ]; then
  missing=""
  command -v docker >/dev/null || missing="docker (Debian package docker.io)"
  docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || missing="$missing docker-compose"
  code=0
  if [ -z "$missing" ]; then "$here/with-engine.sh" "$0" "with engine" || code=$?; else code=75; fi
  if [ "$code" = 75 ]; then
    echo "the containers were not tested: ${missing:-no Docker engine}" >&2
    [ "${CI:-}" = true ] || code=0
  fi
  exit "$code"
fi

export HOST_PORT=${HOST_PORT:-18080} API_PORT=${API_PORT:-18083} COMPOSE_PROJECT_NAME=url-shortener-ci
export BASE_IMAGE=${BASE_IMAGE:-node:24-bookworm-slim}
trap '"$here/cleanup.sh" >/dev/null 2>&1 || true' EXIT
if ! docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 && ! timeout 60 docker pull --quiet "$BASE_IMAGE" >/dev/null 2>&1; then
  echo "$BASE_IMAGE cannot be pulled here; a base image is made from Debian and the Node of npm"
  export BASE_IMAGE=url-shortener-base
  "$here/make-base-image.sh" "$BASE_IMAGE"
fi
for step in setup run test; do
  echo "== $step.sh"
  "$here/$step.sh"
done
