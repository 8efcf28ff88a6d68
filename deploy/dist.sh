#!/bin/sh
# Makes the archives of a release: deploy/dist.sh DIRECTORY PLATFORM... Called by `make dist`, which says the version, the commit and
# its time (VERSION, REVISION_TIME) and how the program is built (GOFLAGS_BUILD). The same commit and Go make the same bytes.
set -eu
cd "$(dirname "$0")/.."
out=$1
shift
# What an archive holds is for everybody to read, whoever makes it.
umask 022
export LC_ALL=C TZ=UTC

fail() { echo "dist: $*" >&2; exit 1; }

# Only GNU's tar can be told whose files they are, and when they were changed.
tar=tar
for candidate in gtar tar; do
	if command -v "$candidate" >/dev/null 2>&1 && "$candidate" --version 2>/dev/null | grep -q 'GNU tar'; then
		tar=$candidate
		break
	fi
done
"$tar" --version 2>/dev/null | grep -q 'GNU tar' || fail "GNU tar is needed (macOS: brew install gnu-tar)"
if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum; else sum="shasum -a 256"; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/trunkline-*.tar.gz "$out/SHA256SUMS"

# The same for every platform, written by the program as it was built for this one.
mkdir -p "$work/common/completions" "$work/common/docs"
bin/trunkline man >"$work/common/trunkline.1"
for shell in bash zsh fish powershell; do
	bin/trunkline completion "$shell" >"$work/common/completions/trunkline.$shell"
done
cp README.md CHANGELOG.md "$work/common/"
cp docs/*.md "$work/common/docs/"
for license in LICENSE LICENSE.* COPYING; do
	[ ! -f "$license" ] || cp "$license" "$work/common/"
done

for platform in "$@"; do
	os=${platform%/*}
	arch=${platform#*/}
	name=trunkline-$VERSION-$os-$arch
	echo "dist: $name" >&2
	cp -R "$work/common" "$work/$name"
	# GOFLAGS_BUILD quotes as a shell does.
	(eval "CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build $GOFLAGS_BUILD -o \"\$work/\$name/trunkline\" ./cmd/trunkline")
	[ "$os" != linux ] || cp deploy/systemd/trunkline.service "$work/$name/"
	"$tar" -C "$work" --sort=name --mtime="${REVISION_TIME:-1970-01-01T00:00:00Z}" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar -cf "$work/$name.tar" "$name"
	gzip -n -9 <"$work/$name.tar" >"$out/$name.tar.gz"
	rm -r "${work:?}/$name" "$work/$name.tar"
done
(cd "$out" && $sum trunkline-*.tar.gz >SHA256SUMS)
