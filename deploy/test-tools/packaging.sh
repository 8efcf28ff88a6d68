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

# One archive, of this machine, made twice: it holds what it should, runs, and is the same again whoever makes it.
verify_dist() {
	made=$(mktemp -d)
	platform=$(go env GOOS)/$(go env GOARCH)
	verdict=0
	for umask in 077 022; do
		(umask "$umask" && bounded 300 make -s dist DIST="$made/$umask" DIST_PLATFORMS="$platform" </dev/null) || verdict=$?
	done
	[ "$verdict" -ne 0 ] || look_at_dist || verdict=$?
	rm -rf "$made"
	return "$verdict"
}

look_at_dist() {
	if ! cmp "$made/022/SHA256SUMS" "$made/077/SHA256SUMS"; then
		say "make dist: not the same twice"
		return 1
	fi
	name=$(basename "$made"/022/trunkline-*.tar.gz .tar.gz)
	gzip -dc "$made/022/$name.tar.gz" | tar -C "$made" -xf - || return 1
	for file in trunkline README.md CHANGELOG.md docs/operations.md trunkline.1 completions/trunkline.bash completions/trunkline.zsh \
		completions/trunkline.fish completions/trunkline.powershell $([ "$(uname -s)" != Linux ] || echo trunkline.service); do
		if [ ! -s "$made/$name/$file" ]; then
			say "make dist: $name lacks $file"
			return 1
		fi
	done
	wanted=$(bin/trunkline --version)
	got=$(cd / && env -i "$made/$name/trunkline" --version)
	if [ "$got" != "$wanted" ]; then
		say "make dist: the program in it says '$got', not '$wanted'"
		return 1
	fi
}

has_gnu_tar() {
	for tar in gtar tar; do
		! "$tar" --version 2>/dev/null | grep -q 'GNU tar' || return 0
	done
	return 1
}

packaging() {
	if has_gnu_tar; then
		say "making an archive of a release"
		verify_dist
	else
		without "no GNU tar here: no archive of a release is made"
	fi
	if get_systemd_analyze; then
		say "verifying deploy/systemd/trunkline.service"
		verify_unit
	else
		without "no systemd-analyze here, and none could be installed: the unit is not verified"
	fi
}
