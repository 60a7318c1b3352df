# Sourced by the scripts beside it: finds out what this machine lacks, installs just that, builds.
#
# Each function is quiet and quick when nothing is missing, so that every script calls what it needs.
# Written for Debian 12 and its relatives; elsewhere it says what to install.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
python=$venv/bin/python

packages_to_build=(
  fuse3 libfuse3-dev libcurl4-openssl-dev zlib1g-dev libzstd-dev liblz4-dev libbz2-dev
  liblzma-dev libxxhash-dev libjpeg-dev libpng-dev libwebp-dev pkg-config python3 python3-venv
)
packages_to_test=(nginx-light rsync strace attr dpkg-dev)

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' red='' plain=''
fi

note() { printf '%s%s%s\n' "$dim" "$*" "$plain" >&2; }
heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain" >&2; }
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

# quietly WHAT COMMAND...: runs it, shows its output only if it fails.
quietly() {
  local what=$1 log output status=0 begin=$SECONDS
  shift
  # A file without a name: Ctrl-C leaves nothing.
  log=$(mktemp)
  exec {output}<>"$log"
  rm -f "$log"
  note "$what ..."
  "$@" >&"$output" 2>&1 </dev/null || status=$?
  if [ $status -ne 0 ]; then
    tail -n 40 "/proc/$BASHPID/fd/$output" >&2
    die "$what failed; the command was: $*"
  fi
  exec {output}>&-
  note "$what: done in $((SECONDS - begin)) s"
}

# as_root COMMAND...: as we are, by sudo, or the words to type.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo "$@"
  else
    die "this needs root. Type, as root:  $*"
  fi
}

# need_packages NAME...: Debian packages, by apt-get, only those that are missing.
need_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    note "no apt-get here; what is needed bears these names on Debian: $*"
    return
  fi
  local missing=() name have
  have=$(dpkg-query -W -f '${Package}:${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    [[ $'\n'$have$'\n' == *$'\n'"$name:installed"$'\n'* ]] || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  # sudo asks for its password here, where it can still be seen.
  as_root true
  local install=(
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends
  )
  note "installing ${missing[*]} ..."
  # The package lists that are there will often do; fetching new ones is the slow part.
  "${install[@]}" "${missing[@]}" >/dev/null 2>&1 </dev/null && return
  quietly "fetching the package lists" as_root apt-get update
  quietly "installing ${missing[*]}" "${install[@]}" "${missing[@]}"
}

# need_venv: the pinned Python packages, in .venv beside this checkout, never in the system.
need_venv() {
  local wanted=$root/scripts/requirements.txt stamp=$venv/requirements.installed
  [ -x "$python" ] && cmp -s "$wanted" "$stamp" && return
  # Without pip it was interrupted while it was made.
  if ! "$python" -m pip --version >/dev/null 2>&1; then
    quietly "making a Python environment in .venv" python3 -m venv --clear "$venv"
  fi
  quietly "installing the Python packages (rclone, webdataset, scikit-learn, ...) in .venv" \
    "$python" -m pip install --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$stamp"
}

# need_signatures: the published suite of AWS signatures, out of botocore's sources. Sets $signatures to its
# folder, or to nothing where it cannot be had.
need_signatures() {
  local version sources=$venv/botocore-sources
  version=$("$python" -c 'import botocore; print(botocore.__version__)')
  signatures=$sources/botocore-$version/tests/unit/auth/aws4_testsuite
  [ ! -d "$signatures" ] || return 0
  note "fetching the published suite of signatures ..."
  if ! "$python" -m pip download --disable-pip-version-check --quiet --no-deps --no-binary :all: --dest "$sources" \
    "botocore==$version" >/dev/null 2>&1 </dev/null ||
    ! tar -xzf "$sources/botocore-$version.tar.gz" -C "$sources" --wildcards '*/aws4_testsuite/*'; then
    note "not to be had: its test is skipped"
    signatures=
  fi
  rm -f "$sources/botocore-$version.tar.gz"
}

# install_torch PYTHON: of the version that requirements-torch.txt names.
install_torch() {
  local version install=("$1" -m pip install --disable-pip-version-check)
  version=$(sed -n 's/^# torch //p' "$root/scripts/requirements-torch.txt")
  # The plain wheel is a CUDA build of gigabytes: only where the others are not to be had.
  note "installing torch $version for the CPU ..."
  "${install[@]}" "torch==$version+cpu" >/dev/null 2>&1 </dev/null ||
    "${install[@]}" --index-url https://download.pytorch.org/whl/cpu "torch==$version" >/dev/null 2>&1 </dev/null ||
    quietly "installing torch $version" "${install[@]}" "torch==$version"
}

# need_torch: torch for the CPU, and what its tests want, in the same environment.
need_torch() {
  local wanted=$root/scripts/requirements-torch.txt stamp=$venv/requirements-torch.installed
  [ -x "$python" ] && cmp -s "$wanted" "$stamp" && return
  local install=("$python" -m pip install --disable-pip-version-check)
  install_torch "$python"
  # Only with --no-deps: it asks for the torch of its own build.
  quietly "installing torchvision $(sed -n 's/^# torchvision //p' "$wanted")" \
    "${install[@]}" --no-deps "torchvision==$(sed -n 's/^# torchvision //p' "$wanted")"
  quietly "installing what its tests want" "${install[@]}" -r "$wanted"
  cp "$wanted" "$stamp"
}

# need_peers: the loaders that `scripts/bench --loaders` compares with. Sets $peers to their Python.
need_peers() {
  local wanted=$root/scripts/requirements-peers.txt stamp=$venv-peers/requirements.installed
  peers=$venv-peers/bin/python
  [ -x "$peers" ] && cmp -s "$wanted" "$stamp" && return
  quietly "making a Python environment in .venv-peers" python3 -m venv --clear "$venv-peers"
  install_torch "$peers"
  quietly "installing the peers' packages" "$peers" -m pip install --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$stamp"
}

# need_loaders: what --long tests beside, gigabytes of it, in an environment of its own. Sets $loaders to its
# Python, or to nothing where it is not to be had.
need_loaders() {
  local wanted=$root/scripts/requirements-loaders.txt stamp=$venv-loaders/requirements.installed
  loaders=$venv-loaders/bin/python
  [ -x "$loaders" ] && cmp -s "$wanted" "$stamp" && return
  note "installing tensorflow-cpu and DALI in .venv-loaders ..."
  if python3 -m venv --clear "$venv-loaders" &&
    "$loaders" -m pip install --disable-pip-version-check -r "$wanted" >/dev/null 2>&1 </dev/null; then
    cp "$wanted" "$stamp"
  else
    note "tensorflow-cpu and DALI are not to be had: their tests are skipped"
    loaders=
  fi
}

need_swift() {
  command -v swift >/dev/null || die "no swift in PATH; get 6.2 or later from" \
    "https://www.swift.org/install/linux and put its usr/bin in PATH"
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  [ -n "$version" ] || die "'swift --version' does not answer; see https://www.swift.org/install/linux"
  if [ "$(printf '6.2\n%s\n' "$version" | sort -V | head -n 1)" != 6.2 ]; then
    die "swift $version is too old, 6.2 is needed; see https://www.swift.org/install/linux"
  fi
}

need_fuse() {
  [ -e /dev/fuse ] || { [ "$(id -u)" -eq 0 ] && modprobe fuse 2>/dev/null; } || true
  [ -e /dev/fuse ] || die "/dev/fuse is missing, so nothing can be mounted here: load the module" \
    "(sudo modprobe fuse), or start the container with --device /dev/fuse --cap-add SYS_ADMIN"
  [ -r /dev/fuse ] && [ -w /dev/fuse ] || die "/dev/fuse cannot be opened by $(id -un):" \
    "sudo chmod 666 /dev/fuse, or be in its group ($(stat -c %G /dev/fuse))"
}

# build_release: sets $binary to the release binary, built as it is shipped, or to the one that
# WDSFS_TEST_BINARY names.
build_release() {
  binary=$root/.build/release/wdsfs
  if [ -n "${WDSFS_TEST_BINARY:-}" ]; then
    binary=$WDSFS_TEST_BINARY
    [ -x "$binary" ] || die "WDSFS_TEST_BINARY: $binary is no program that can be run"
    note "using $binary, as WDSFS_TEST_BINARY says"
    return
  fi
  local command=(swift build --package-path "$root" -c release --static-swift-stdlib --product wdsfs)
  if [ -t 2 ]; then
    # Swift's own progress line tells more than ours could.
    "${command[@]}" >&2 || die "the build failed; the command was: ${command[*]}"
  elif [ -x "$binary" ]; then
    quietly "building wdsfs" "${command[@]}"
  else
    quietly "building wdsfs for the first time (several minutes on two cores)" "${command[@]}"
  fi
}
