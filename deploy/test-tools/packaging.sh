# Sourced by test-tools.sh: what is installed elsewhere than it is built, looked at without installing it. Needs bin/trunkline.
# shellcheck shell=sh

get_systemd_analyze() {
	command -v systemd-analyze >/dev/null 2>&1 && return 0
	[ "$(uname -s)" = Linux ] || return 1
	if command -v apt-get >/dev/null 2>&1 && may_be_root; then
		say "installing systemd with apt-get"
		apt_get 60 update
		apt_get 120 -y install --no-install-recommends systemd
	fi
	command -v systemd-analyze >/dev/null 2>&1
}

# The unit names the program where it is installed, which it is not here: verified is a copy that names the one that was built.
verify_unit() {
	units=$(mktemp -d)
	sed "s#^ExecStart=/usr/local/bin/trunkline #ExecStart=$PWD/bin/trunkline #" deploy/systemd/trunkline.service >"$units/trunkline.service"
	verdict=0
	complaints=$(bounded 60 systemd-analyze verify "$units/trunkline.service" 2>&1 </dev/null) || verdict=$?
	rm -r "$units"
	# Lines that it does not understand are told and no failure to it, but one to us.
	if [ "$verdict" -ne 0 ] || [ -n "$complaints" ]; then
		say "systemd-analyze verify: exit $verdict: $complaints"
		return 1
	fi
}

packaging() {
	if get_systemd_analyze; then
		say "verifying deploy/systemd/trunkline.service"
		verify_unit
	else
		without "no systemd-analyze here, and none could be installed: the unit is not verified"
	fi
}
