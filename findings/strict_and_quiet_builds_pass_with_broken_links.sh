#!/usr/bin/env bash
# Packages: mkdocs 1.6.1.
# Behaviour: "mkdocs build --strict" fails when there is a warning, such as a link that leads nowhere; it
#   is the usual check of a documentation in continuous integration. There one adds --quiet, to keep
#   the log short, and expects the same check with fewer lines. With both, the build passes whatever is
#   broken: --quiet raises the level of the logger, and the warnings that --strict counts are records
#   of that logger, which are dropped before anybody counts them. Who wants a short log has to filter
#   the output, not to ask for silence.
# Seen: one page with a link to a page that is not there. --strict: exit status 1, "Aborted with 1 warnings
#   in strict mode!"; --strict --quiet: exit status 0, and the site is written.
# Source: run on 2026-11-29; mkdocs/__main__.py (the option sets the level) and mkdocs/commands/build.py (the
#   counting handler), read there.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet mkdocs==1.6.1
cd "$folder"
mkdir docs
echo "site_name: one" > mkdocs.yml
echo "[a page](missing.md)" > docs/index.md
strict=0
"$folder/venv/bin/mkdocs" build --strict --site-dir "$folder/strict" > strict.log 2>&1 || strict=$?
quiet=0
"$folder/venv/bin/mkdocs" build --strict --quiet --site-dir "$folder/quiet" > quiet.log 2>&1 || quiet=$?
grep "missing.md" strict.log
echo "--strict: $strict; --strict --quiet: $quiet"
test "$strict" -eq 1
grep -q "strict mode" strict.log
test "$quiet" -eq 0
test -f "$folder/quiet/index.html"
