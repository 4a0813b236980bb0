#!/bin/sh
# Install a font with Chinese glyphs (Noto Sans CJK, SIL Open Font License) where this machine can: as
# root, with apt. Never fails: without it pictures say what is missing, and their tests are skipped.

for folder in /usr/share/fonts /usr/local/share/fonts "$HOME/.local/share/fonts" "$HOME/.fonts" \
    /System/Library/Fonts /Library/Fonts ${KEHU_FONTS:+"$KEHU_FONTS"}; do
    found=$(find "$folder" \( -name 'NotoSansCJK*' -o -name 'NotoSansSC*' -o -name 'SourceHanSans*' \
        -o -name 'wqy-*' -o -name 'PingFang.ttc' \) 2> /dev/null | head -n 1)
    [ -n "$found" ] && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "fonts: no font with Chinese glyphs here, and only root with apt can install one (fonts-noto-cjk)"
    exit 0
fi
echo "fonts: installing fonts-noto-cjk for pictures"
export DEBIAN_FRONTEND=noninteractive
install="apt-get install --yes --quiet --no-install-recommends fonts-noto-cjk"
$install > /dev/null 2>&1 || { apt-get update --quiet > /dev/null 2>&1 && $install > /dev/null 2>&1; }
[ -n "$(find /usr/share/fonts -name 'NotoSansCJK*' 2> /dev/null)" ] || echo "fonts: apt has none; tests of pictures are skipped"
exit 0
