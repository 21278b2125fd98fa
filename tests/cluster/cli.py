"""./cistern cluster: what it says and does. Everything else is in cluster.py."""

import argparse
import os
import pathlib
import signal
import sys
import time

from cluster import Cluster
from layout import Layout
from system import Failure

HELP = {
    "up": "make the cluster and install Cistern in it",
    "down": "take it away, with all it made",
    "kubeconfig": "print the path of its kubeconfig",
    "kubectl": "run kubectl on it",
    "exec": "run a command as if logged in to a node",
    "load": "put a docker-archive on every node",
    "world": "unplug or plug in the outside world; print its requests",
}


def count(text):
    number = int(text)
    if not 0 <= number < Layout.max_nodes:
        raise argparse.ArgumentTypeError(f"a cluster has from 0 to {Layout.max_nodes - 1} nodes")
    return number


def parse(argv):
    parser = argparse.ArgumentParser(prog="./cistern cluster", description="A real Kubernetes with several nodes on this machine, for trying and testing.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {name: commands.add_parser(name, help=text, description=text) for name, text in HELP.items()}
    made["up"].add_argument("--nodes", type=count, default=2, metavar="N", help="how many (default 2)")
    made["up"].add_argument("--bare", action="store_true", help="without Cistern")
    made["up"].add_argument("--image", type=pathlib.Path, help=argparse.SUPPRESS)
    made["exec"].add_argument("node")
    made["exec"].add_argument("arguments", nargs=argparse.REMAINDER)
    made["load"].add_argument("archive", type=pathlib.Path)
    made["world"].add_argument("action", choices=("unplug", "plug", "requests", "modules"))
    if argv[:1] == ["kubectl"]:  # whose options may come first, which argparse would take for its own
        return argparse.Namespace(command="kubectl", arguments=argv[1:])
    return parser.parse_args(argv)


def up(cluster, options):
    if cluster.is_up:
        print(f"The cluster is up: {len(cluster.nodes())} nodes. export KUBECONFIG={cluster.layout.kubeconfig}")
        return
    start = time.monotonic()
    cluster.up(options.nodes)
    print(f"{options.nodes} nodes Ready after {time.monotonic() - start:.1f} s")
    if not options.bare:
        try:
            cluster.install(options.image)
        except BaseException:
            cluster.down()
            raise
        print(f"Cistern installed after {time.monotonic() - start:.1f} s")
    print(f"export KUBECONFIG={cluster.layout.kubeconfig}")


def need_up(cluster):
    if not cluster.is_up:
        raise Failure("the cluster is not up; ./cistern cluster up makes it")


def main(argv):
    options = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cluster = Cluster()
    if options.command == "up":
        up(cluster, options)
    elif options.command == "down":
        cluster.down()
    elif options.command == "kubeconfig":
        need_up(cluster)
        print(cluster.layout.kubeconfig)
    elif options.command == "kubectl":
        need_up(cluster)
        os.environ["KUBECONFIG"] = str(cluster.layout.kubeconfig)
        program = cluster.tools.kubernetes / "kubectl"
        os.execv(program, [str(program), *options.arguments])
    elif options.command == "exec":
        argv = cluster.node(options.node).exec_argv(options.arguments or ["bash"])
        os.execvp(argv[0], argv)
    elif options.command == "load":
        need_up(cluster)
        cluster.load_image(options.archive)
    elif options.command == "world":
        need_up(cluster)
        world(cluster, options.action)


def world(cluster, action):
    if action == "requests":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` wants no more: no error
        for request in cluster.world.requests():
            print(f"{request.host} {request.method} {request.path} {request.status} {request.size} from {request.client}")
    elif action == "modules":
        cluster.world.serve_modules(go=cluster.tools.go)
    else:
        getattr(cluster.world, action)()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        failure.read_log()
        print(f"cistern: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("cistern: interrupted; what was made is taken away", file=sys.stderr)
        sys.exit(130)
