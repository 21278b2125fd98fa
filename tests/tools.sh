# shellcheck shell=bash
# Programs that tests and benchmarks compare with or drive, and that Debian 12 does not have in the version they need. Each function
# prints the path of one program, after building it from the Go module proxy that `go env GOPROXY` names if it is not there yet.
# Results are kept by version in $CISTERN_TOOLS, outside the checkout. Source this file; every function fails with a message on stderr.

CISTERN_TOOLS="${CISTERN_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cistern/tools}"
TOOL_GO_VERSION=1.24.6
TOOL_GO_ENOUGH=24 # a Go 1.N of the machine that is at least this new is used as it is
TOOL_GOPROXY_VERSION=v0.20.0
TOOL_ATHENS_VERSION=v0.15.0

# tool_go: a Go that builds all of the below. Debian's is too old for that, but not for fetching a newer one as a module.
tool_go() {
  local go folder scratch source
  go=$(command -v go || true)
  if [[ -n $go ]]; then
    local version
    version=$(GOTOOLCHAIN=local "$go" env GOVERSION)
    if [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= TOOL_GO_ENOUGH)); then
      echo "$go"
      return
    fi
  fi
  folder=$CISTERN_TOOLS/go-$TOOL_GO_VERSION
  if [[ ! -x $folder/bin/go ]]; then
    if [[ -z $go ]]; then
      echo "no Go on this machine; install the package golang-go" >&2
      return 1
    fi
    mkdir -p "$CISTERN_TOOLS"
    scratch=$(mktemp -d "$CISTERN_TOOLS/.go.XXXXXX")
    echo "fetching Go $TOOL_GO_VERSION from the module proxy" >&2
    if ! source=$(cd "$scratch" && GOPATH=$scratch/path GOFLAGS=-modcacherw \
      "$go" mod download -json "golang.org/toolchain@v0.0.1-go$TOOL_GO_VERSION.linux-$(dpkg --print-architecture)" |
      sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p') || [[ ! -d $source ]]; then
      echo "Go $TOOL_GO_VERSION could not be fetched from $("$go" env GOPROXY)" >&2
      rm -rf "$scratch"
      return 1
    fi
    # A module's files have no execute bits, and a go.mod below its root is packed as _go.mod.
    chmod -R u+w,+x "$source/bin" "$source/pkg/tool"
    local packed
    for packed in "$source"/src/_go.mod "$source"/src/cmd/_go.mod; do
      [[ -e $packed ]] && mv "$packed" "${packed%_go.mod}go.mod"
    done
    rm -rf "$folder"
    mv "$source" "$folder"
    rm -rf "$scratch"
  fi
  echo "$folder/bin/go"
}

# tool_build NAME MODULE VERSION PACKAGE: the program NAME-VERSION, from a Go package of that module at exactly that version. In a module of its
# own rather than by `go install`, which would also ask for the list of versions.
tool_build() {
  local name=$1 module=$2 version=$3 package=$4 go scratch program=$CISTERN_TOOLS/$1-$3
  if [[ ! -x $program ]]; then
    go=$(tool_go) || return 1
    mkdir -p "$CISTERN_TOOLS"
    scratch=$(mktemp -d "$CISTERN_TOOLS/.$name.XXXXXX")
    echo "building $name $version from the Go module proxy" >&2
    printf 'module build\ngo 1.%s\nrequire %s %s\n' "$TOOL_GO_ENOUGH" "$module" "$version" >"$scratch/go.mod"
    if ! (cd "$scratch" && GOTOOLCHAIN=local CGO_ENABLED=0 "$go" build -mod=mod -trimpath -o program "$module/$package") >&2; then
      echo "$name $version could not be built" >&2
      rm -rf "$scratch"
      return 1
    fi
    mv "$scratch/program" "$program"
    rm -rf "$scratch"
  fi
  echo "$program"
}

tool_goproxy() { tool_build goproxy github.com/goproxy/goproxy "$TOOL_GOPROXY_VERSION" cmd/goproxy; }
tool_athens() { tool_build athens github.com/gomods/athens "$TOOL_ATHENS_VERSION" cmd/proxy; }
