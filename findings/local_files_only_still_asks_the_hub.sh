#!/usr/bin/env bash
# Packages: huggingface_hub 2.4.0.
# Behaviour: local_files_only=True is documented to look in the local cache alone, and whoever has files there
#   expects no connection. The first call of a process makes one all the same: to build the user agent of
#   requests that it will not send, the client fetches a list of programs from huggingface.co, with a
#   timeout of 3 s, and keeps it for a day. Without a network the call waits for that and goes on as
#   told; a machine that must make no connection makes one. HF_HUB_OFFLINE=1 and HF_HUB_DISABLE_TELEMETRY=1
#   prevent it; so does try_to_load_from_cache, which only looks at files.
# Seen: asked for with local_files_only=True: [('huggingface.co', 443)]; with HF_HUB_OFFLINE=1, with
#   HF_HUB_DISABLE_TELEMETRY=1, and by try_to_load_from_cache: nothing.
# Source: run on 2026-11-29; huggingface_hub/utils/_detect_agent.py and _headers.py, where the list is fetched.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet huggingface_hub==2.4.0
cd "$folder"
cat > asked.py <<'PYTHON'
import socket
import sys

asked = []


def refuse(host, port, *rest, **options):
    asked.append((host, port))
    raise OSError("no network here")


socket.getaddrinfo = refuse

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError

if sys.argv[1] == "look":
    assert try_to_load_from_cache("some/model", "config.json") is None
else:
    try:
        hf_hub_download("some/model", "config.json", local_files_only=True)
    except LocalEntryNotFoundError:
        pass
print(asked)
PYTHON
run() { env -u HF_HUB_OFFLINE -u HF_HUB_DISABLE_TELEMETRY HF_HOME="$folder/$RANDOM" "$@"; }
told="$(run "$python" asked.py download)"
offline="$(run HF_HUB_OFFLINE=1 "$python" asked.py download)"
quiet="$(run HF_HUB_DISABLE_TELEMETRY=1 "$python" asked.py download)"
look="$(run "$python" asked.py look)"
echo "local_files_only: $told; offline: $offline; without telemetry: $quiet; looked up: $look"
[[ "$told" == *"'huggingface.co', 443"* ]]
[[ "$offline" == "[]" && "$quiet" == "[]" && "$look" == "[]" ]]
