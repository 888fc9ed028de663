# Sourced by the other scripts: `compose` is Docker Compose, whichever of its two forms is there.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../../.." && pwd)
services="host logger storage api"
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-url-shortener}

compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose -f "$here/compose.yaml" "$@"
  else
    docker-compose -f "$here/compose.yaml" "$@"
  fi
}
