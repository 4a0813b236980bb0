#!/bin/sh
# Install Chromium and a font with Chinese glyphs for the browser tests and `kehu report --pdf`, where this
# machine can: as root, with apt. Never fails: without them the tests are skipped and say so.

PATH="$PATH:/usr/sbin:/usr/bin"
missing=
command -v chromium > /dev/null || command -v chromium-browser > /dev/null || missing=chromium
if command -v fc-list > /dev/null; then
    [ -n "$(fc-list :lang=zh-cn)" ] || missing="$missing fonts-noto-cjk"
else
    missing="$missing fonts-noto-cjk"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "browser: $missing not here, and only root with apt can install it; its tests are skipped"
    exit 0
fi
echo "browser: installing $missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
install="apt-get install --yes --quiet --no-install-recommends $missing"
$install > /dev/null 2>&1 || { apt-get update --quiet > /dev/null 2>&1 && $install > /dev/null 2>&1; }
command -v chromium > /dev/null || command -v chromium-browser > /dev/null \
    || echo "browser: apt has none; its tests are skipped"
exit 0
