#!/usr/bin/env bash
# Builds one image per service. BASE_IMAGE: what they stand on, anything with Node from 22.18.
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
base=${BASE_IMAGE:-node:24-bookworm-slim}
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT

cd "$repository"
npx -y pnpm@12 build --filter "@cpg/example-url-shortener-*..."
for service in $services; do
  # The service and what it depends on, as plain files: the image is built without any network.
  npx -y pnpm@12 --filter "@cpg/example-url-shortener-$service" --prod deploy --legacy "$staged/$service" >/dev/null
  node packages/toolchain/run.mjs node "$here/use-built-packages.mjs" "$staged/$service"
  docker build --quiet --build-arg "BASE_IMAGE=$base" -t "url-shortener-$service" -f "$here/Dockerfile" "$staged/$service"
done
