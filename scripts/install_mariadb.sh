#!/bin/sh
# Install MariaDB for the tests where this machine can: as root, with apt. Never fails: without it the
# tests of MariaDB are skipped and say so. No service is started; each test run has a server of its own.

PATH="$PATH:/usr/sbin:/usr/bin"
command -v mariadbd > /dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "MariaDB: not here, and only root with apt can install it; its tests are skipped"
    exit 0
fi
echo "MariaDB: installing it for the tests"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then # what says that packages start no services
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install="apt-get install --yes --quiet --no-install-recommends mariadb-server"
$install > /dev/null 2>&1 || { apt-get update --quiet > /dev/null 2>&1 && $install > /dev/null 2>&1; }
command -v mariadbd > /dev/null || echo "MariaDB: apt has none; its tests are skipped"
exit 0
