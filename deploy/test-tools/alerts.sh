#!/bin/sh
# Checks the alerts and their stories with promtool, and has it read every query of the dashboard. promtool is taken from PATH, or out
# of Debian's package prometheus: only unpacked into deploy/test-tools/.promtool, for installing it would start a server.
#
# Exit 3 = no promtool is to be had here.
set -eu
cd "$(dirname "$0")/../.."
own=$PWD/deploy/test-tools/.promtool

# download takes the package that the lists name, which a fresh system has to read first.
download() { timeout -k 10 "$1" apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::Retries=1 -o APT::Sandbox::User=root download prometheus </dev/null >/dev/null 2>&1; }

update() {
	if [ "$(id -u)" = 0 ]; then set --; else set -- sudo -n; fi
	"$@" timeout -k 10 60 apt-get -qq update </dev/null >/dev/null 2>&1
}

fetch() {
	[ ! -x "$own/usr/bin/promtool" ] || return 0
	for need in apt-get dpkg-deb timeout; do
		command -v $need >/dev/null 2>&1 || return 1
	done
	echo "test-tools: unpacking promtool out of Debian's package" >&2
	box=$(mktemp -d)
	if (cd "$box" && { download "$1" || { update && download "$1"; }; }); then
		mkdir -p "$own"
		dpkg-deb --fsys-tarfile "$box"/prometheus_*.deb | tar -xf - -C "$own" ./usr/bin/promtool || rm -rf "$own"
	fi
	rm -rf "$box"
	[ -x "$own/usr/bin/promtool" ]
}

promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
	fetch "${1:-90}" || exit 3
	promtool=$own/usr/bin/promtool
fi

"$promtool" check rules deploy/prometheus/alerts.yml
"$promtool" test rules deploy/prometheus/alerts_test.yml

# A rule of each query of the dashboard: check rules reads PromQL. A string of JSON is one of YAML; what Grafana fills in is filled in here.
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT
{
	printf 'groups:\n  - name: dashboard\n    rules:\n'
	sed -n 's/^ *"expr": \(".*"\),\{0,1\}$/\1/p' deploy/grafana/trunkline.json | sed 's/\$__rate_interval/5m/g; s/\$__range/1h/g' |
		awk '{ printf "      - {record: \"panel:query:%d\", expr: %s}\n", NR, $0 }'
} >"$rules"
"$promtool" check rules "$rules"
