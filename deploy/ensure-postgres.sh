#!/bin/sh
# Sees to it that Postgres' server programs are on this machine. Looks where store/embedded looks; installs with the system's
# package manager when they are nowhere; otherwise says what to do. Quick and silent when they are there. No server is started.
set -eu

say() { echo "ensure-postgres: $*" >&2; }

# The programs store/embedded needs, in one directory.
complete() { [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ] && [ -x "$1/postgres" ]; }

present() {
	# Named servers and named programs are the caller's own business.
	[ -z "${TRUNKLINE_TEST_DATABASE_URL:-}" ] || return 0
	if [ -n "${TRUNKLINE_PG_BIN:-}" ]; then
		complete "$TRUNKLINE_PG_BIN" && return 0
		say "TRUNKLINE_PG_BIN=$TRUNKLINE_PG_BIN does not hold initdb, pg_ctl and postgres"
		exit 1
	fi
	old_ifs=$IFS
	IFS=:
	for dir in $PATH; do
		complete "$dir" && { IFS=$old_ifs; return 0; }
	done
	IFS=$old_ifs
	for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
		/opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin; do
		complete "$dir" && return 0
	done
	return 1
}

# as_root runs a command as root, without ever asking for a password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

may_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }; }

with_apt() {
	say "installing postgresql with apt-get"
	# Debian's package makes and starts a cluster of its own unless told not to; we want the programs only.
	as_root mkdir -p /etc/postgresql-common
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2 &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Options::=--force-confold install --no-install-recommends postgresql </dev/null >&2
}

present && exit 0

if command -v apt-get >/dev/null 2>&1 && may_be_root; then
	with_apt || say "apt-get could not install postgresql"
elif command -v brew >/dev/null 2>&1; then
	say "installing postgresql@17 with Homebrew"
	HOMEBREW_NO_AUTO_UPDATE=1 brew install postgresql@17 </dev/null >&2 || say "Homebrew could not install postgresql@17"
fi

present && exit 0

case "$(uname -s)/$(uname -m)" in
Linux/x86_64 | Linux/aarch64 | Darwin/*)
	say "no Postgres found; trunkline will try to download its programs. If that fails, install the package postgresql (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17)"
	;;
*)
	say "no Postgres found: install its server programs (initdb, pg_ctl, postgres; version 14 or newer) or name their directory in TRUNKLINE_PG_BIN"
	exit 1
	;;
esac
