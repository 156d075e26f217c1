#!/usr/bin/env bash
# Say in an issue that the notebooks fail: open one, or add to the one that is still open.
#   bash .github/report.sh LOG ADDRESS-OF-THE-RUN
set -euo pipefail

title="The notebooks fail in Colab's image"
body=$(printf 'The weekly run failed: %s\n\n```text\n%s\n```\n' "$2" "$(tail -n 30 "$1" | cut -c -300 || true)")
open=$(gh issue list --state open --search "in:title \"$title\"" --json number --jq '.[0].number // empty')
if [ -n "$open" ]; then
  gh issue comment "$open" --body "$body"
else
  gh issue create --title "$title" --body "$body"
fi
