#!/usr/bin/env bash
# Makes a base image without pulling one: Debian by debootstrap, and Node as npm ships it. make-base-image.sh NAME
set -euo pipefail
. "$(dirname "$0")/docker-engine.sh"
name=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=libstdc++6,libatomic1 bookworm "$root/system" >"$root/log" 2>&1 || {
  tail -n 20 "$root/log" >&2
  exit 1
}
cd "$repository"
node=$(node packages/toolchain/run.mjs node -p process.execPath)
install -D "$node" "$root/system/usr/local/bin/node"
tar -C "$root/system" -c . | docker import - "$name" >/dev/null
docker run --rm "$name" node --version
