# shellcheck shell=bash
# Programs that tests and benchmarks compare with or drive, and that Debian 12 does not have in the version they need. Each function
# prints the path of one program, after building it from the Go module proxy that `go env GOPROXY` names if it is not there yet.
# Results are kept by version in $CISTERN_TOOLS, outside the checkout. Source this file; every function fails with a message on stderr.

CISTERN_TOOLS="${CISTERN_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cistern/tools}"
TOOL_GO_VERSION=1.24.6
TOOL_GO_ENOUGH=24 # a Go 1.N of the machine that is at least this new is used as it is
TOOL_GOPROXY_VERSION=v0.20.0
TOOL_ATHENS_VERSION=v0.15.0
TOOL_KUBERNETES_MINOR=34
TOOL_KUBERNETES_VERSION=v1.$TOOL_KUBERNETES_MINOR.2
TOOL_HELM_VERSION=v3.19.0
TOOL_COREDNS_VERSION=v1.12.4
TOOL_KWOK_VERSION=v0.7.0
TOOL_TOXIPROXY_VERSION=v2.12.0

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

# tool_scratch NAME: a folder to build NAME in, beside the results so that they are moved in one step.
tool_scratch() { mkdir -p "$CISTERN_TOOLS" && mktemp -d "$CISTERN_TOOLS/.$1.XXXXXX"; }

# tool_compile FOLDER GO ARGUMENT…: `go build ARGUMENT…` in FOLDER, which holds a go.mod that says exact versions. The machine stays usable meanwhile.
tool_compile() { (cd "$1" && GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 10 "$2" build -mod=mod -trimpath "${@:3}") >&2; }

# tool_build NAME MODULE VERSION PACKAGE [GO BUILD ARGUMENT…]: the program NAME-VERSION, from a Go package of that module at exactly that version. In
# a module of its own rather than by `go install`, which would also ask for the list of versions. With PACKAGE `.` the standard input is its main.go.
tool_build() {
  local name=$1 module=$2 version=$3 package=$4 go scratch program=$CISTERN_TOOLS/$1-$3 start=$SECONDS
  if [[ ! -x $program ]]; then
    go=$(tool_go) || return 1
    scratch=$(tool_scratch "$name") || return 1
    echo "building $name $version from the Go module proxy, once; this takes minutes" >&2
    printf 'module build\ngo 1.%s\nrequire %s %s\n' "$TOOL_GO_ENOUGH" "$module" "$version" >"$scratch/go.mod"
    if [[ $package == . ]]; then cat >"$scratch/main.go"; else package=$module/$package; fi
    if ! tool_compile "$scratch" "$go" -o program "${@:5}" "$package"; then
      echo "$name $version could not be built" >&2
      rm -rf "$scratch"
      return 1
    fi
    mv "$scratch/program" "$program"
    rm -rf "$scratch"
    echo "built $name in $((SECONDS - start)) s" >&2
  fi
  echo "$program"
}

tool_goproxy() { tool_build goproxy github.com/goproxy/goproxy "$TOOL_GOPROXY_VERSION" cmd/goproxy; }
tool_athens() { tool_build athens github.com/gomods/athens "$TOOL_ATHENS_VERSION" cmd/proxy; }

# tool_helm: for charts rendered without a cluster it takes the cluster to be of its chartutil's version, else v1.20.
tool_helm() {
  local helm=helm.sh/helm/v3
  tool_build helm $helm "$TOOL_HELM_VERSION" cmd/helm -ldflags "-s -w -X $helm/internal/version.version=$TOOL_HELM_VERSION \
    -X $helm/pkg/chartutil.k8sVersionMajor=1 -X $helm/pkg/chartutil.k8sVersionMinor=$TOOL_KUBERNETES_MINOR"
}

tool_toxiproxy() { tool_build toxiproxy github.com/Shopify/toxiproxy/v2 "$TOOL_TOXIPROXY_VERSION" cmd/server -ldflags "-s -w"; }
tool_kwok() { tool_build kwok sigs.k8s.io/kwok "$TOOL_KWOK_VERSION" cmd/kwok -ldflags "-s -w"; }

# tool_coredns: CoreDNS with the plugins that a test cluster needs and no other, which leaves out the clients of a dozen clouds.
tool_coredns() {
  tool_build coredns github.com/coredns/coredns "$TOOL_COREDNS_VERSION" . -ldflags "-s -w" <<'END'
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	dnsserver.Directives = []string{"bind", "health", "ready", "errors", "cache", "kubernetes", "hosts", "template"}
	coremain.Run()
}
END
}

# tool_kubernetes: the folder that holds kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl and the etcd that
# belongs to them.
tool_kubernetes() {
  local version=$TOOL_KUBERNETES_VERSION go scratch mod folder=$CISTERN_TOOLS/kubernetes-$TOOL_KUBERNETES_VERSION start=$SECONDS
  if [[ ! -x $folder/bin/etcd ]]; then
    go=$(tool_go) || return 1
    scratch=$(tool_scratch kubernetes) || return 1
    echo "building Kubernetes $version from the Go module proxy, once; this takes about 8 minutes on 2 cores" >&2
    if ! mod=$(cd "$scratch" && GOTOOLCHAIN=local "$go" mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p') ||
      ! tool_kubernetes_module "$mod" "$scratch" || ! tool_kubernetes_programs "$scratch" "$go"; then
      echo "Kubernetes $version could not be built" >&2
      rm -rf "$scratch"
      return 1
    fi
    # Another build may have been faster.
    mkdir -p "$folder"
    mv -T "$scratch/bin" "$folder/bin" 2>/dev/null || [[ -x $folder/bin/etcd ]] || return 1
    rm -rf "$scratch"
    echo "built Kubernetes in $((SECONDS - start)) s" >&2
  fi
  echo "$folder/bin"
}

# tool_kubernetes_module GO_MOD FOLDER: a module in FOLDER that requires Kubernetes. Its own go.mod replaces the parts that are published as modules of
# their own (v1.N as v0.N) by folders; a module that requires it has to say where they are. The etcd is the one whose client it uses.
tool_kubernetes_module() {
  local etcd
  etcd=$(sed -n 's#^\tgo.etcd.io/etcd/client/v3 \(v[0-9.]*\).*#\1#p' "$1")
  [[ -n $etcd ]] || return 1
  {
    printf 'module build\ngo 1.%s.0\nrequire k8s.io/kubernetes %s\nrequire go.etcd.io/etcd/server/v3 %s\n' \
      "$TOOL_GO_ENOUGH" "$TOOL_KUBERNETES_VERSION" "$etcd"
    sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging/src/.*#replace \1 => \1 v0${TOOL_KUBERNETES_VERSION#v1}#p" "$1"
  } >"$2/go.mod"
}

tool_kubernetes_programs() {
  local set=k8s.io/component-base/version
  local flags="-s -w -X $set.gitVersion=$TOOL_KUBERNETES_VERSION -X $set.gitMajor=1 -X $set.gitMinor=$TOOL_KUBERNETES_MINOR"
  flags+=" -X k8s.io/client-go/pkg/version.gitVersion=$TOOL_KUBERNETES_VERSION"
  tool_compile "$1" "$2" -ldflags "$flags" -o bin/ k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy,kubectl} &&
    tool_compile "$1" "$2" -ldflags "-s -w" -o bin/etcd go.etcd.io/etcd/server/v3
}
