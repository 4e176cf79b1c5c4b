#!/bin/sh
# Installs what this tarball holds under /usr/local (or $PREFIX), makes the user kv, and puts the systemd unit in place without
# starting it. Says what the system lacks before it changes anything. `install.sh --check` only looks.
set -eu
cd "$(dirname "$0")"
prefix=${PREFIX:-/usr/local}

missing=
for program in bin/*; do
  if ! libraries=$(ldd "$program" 2>&1); then
    echo "$program cannot run here: $libraries" >&2
    exit 1
  fi
  lacking=$(echo "$libraries" | awk '/not found/ { print $0 }')
  if [ -n "$lacking" ]; then
    echo "$program lacks:" >&2
    echo "$lacking" >&2
    missing=1
  fi
done
if [ -n "$missing" ]; then
  echo "This needs glibc 2.36 or newer (Debian 12, Ubuntu 24.04, RHEL 10); here is $(ldd --version | head -n 1)." >&2
  exit 1
fi
bin/kvnode --version > /dev/null
echo "the programs run here: version $(bin/kvnode --version)"
if [ "${1:-}" = --check ]; then exit 0; fi

install -d "$prefix/bin" "$prefix/lib/kv" "$prefix/share"
install -m 755 bin/* "$prefix/bin/"
install -m 644 lib/kv/* "$prefix/lib/kv/"
cp -r share/doc share/deploy "$prefix/share/"
if [ "$(id -u)" = 0 ]; then
  getent passwd kv > /dev/null || useradd --system --home-dir /var/lib/kv --shell /usr/sbin/nologin kv
  install -d -m 755 /etc/kv
  [ -e /etc/kv/kvnode.yaml ] || install -m 644 share/deploy/systemd/kvnode.yaml /etc/kv/kvnode.yaml
  if [ -d /etc/systemd/system ]; then
    sed "s|/usr/local|$prefix|g" share/deploy/systemd/kvnode.service > /etc/systemd/system/kvnode.service
    echo "edit /etc/kv/kvnode.yaml, then: systemctl enable --now kvnode"
  fi
fi
echo "installed in $prefix"
