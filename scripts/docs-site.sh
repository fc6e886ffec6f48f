#!/usr/bin/env bash
# Builds the documentation as a website in build/docs-site/html, with mkdocs (Debian's package).   usage: docs-site.sh
set -euo pipefail
cd "$(dirname "$0")/.."
command -v mkdocs >/dev/null || { echo "docs-site: mkdocs is missing: apt-get install mkdocs" >&2; exit 1; }

# The pages, and the files they link to, in the folders they have here: links hold on GitHub and on the site alike.
pages=build/docs-site/pages
rm -rf build/docs-site
mkdir -p "$pages"
git ls-files --cached --others --exclude-standard -- '*.md' docs bench LICENSE examples checks cmake shapes templates \
  | grep -v -e '^tests/' -e '^\.github/' \
  | while read -r file; do
      mkdir -p "$pages/$(dirname "$file")"
      cp "$file" "$pages/$file"
    done
# Sources that a page links to are shown as text on GitHub; here they are files beside it.
grep -rhoE '\]\(\.\./(src|tests)/[^)#]+\)' docs/*.md | sed -E 's/^\]\(\.\.\///; s/\)$//' | sort -u | while read -r file; do
  mkdir -p "$pages/$(dirname "$file")"
  cp "$file" "$pages/$file"
done
mkdocs build --quiet --strict
echo "build/docs-site/html/index.html"
