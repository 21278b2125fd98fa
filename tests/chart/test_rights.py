"""What the chart's accounts may do, and may not: by RBAC, and by the admission policies beside it."""

import json
import time

import pytest
import yaml

from helm import EVERYTHING, NAMESPACE, objects

OPERATOR = f"system:serviceaccount:{NAMESPACE}:cistern-operator"
UNINSTALL = f"system:serviceaccount:{NAMESPACE}:cistern-uninstall"
NODE = f"system:serviceaccount:{NAMESPACE}:cistern-node"
AGENT = f"system:serviceaccount:{NAMESPACE}:cistern-agent"
GROUP = "cistern.dev.node-restriction.kubernetes.io/group"


def allowed(api, account, verb, resource, namespace=None, name=None):
    resource, _, subresource = resource.partition("/")
    scope = ["--namespace", namespace] if namespace else ["--all-namespaces"]
    part = ["--subresource", subresource] if subresource else []
    target = f"{resource}/{name}" if name else resource
    answer = api.kubectl("auth", "can-i", verb, target, "--as", account, *scope, *part, check=False)
    return answer.stdout.strip() == "yes"


ALLOWED = [
    ("patch", "mirrorpolicies.cistern.dev", None), ("patch", "mirrorpolicies.cistern.dev/status", None),
    ("patch", "nodes", None), ("watch", "namespaces", None), ("list", "configmaps", None), ("create", "configmaps", "default"),
    ("watch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", None), ("watch", "endpointslices.discovery.k8s.io", NAMESPACE), ("patch", "daemonsets.apps", NAMESPACE), ("update", "daemonsets.apps", NAMESPACE), ("create", "secrets", NAMESPACE),
    ("delete", "services", NAMESPACE), ("watch", "pods", "kube-system"), ("patch", "pods", NAMESPACE), ("update", "leases.coordination.k8s.io", NAMESPACE),
    ("create", "events.events.k8s.io", "default"), ("create", "events.events.k8s.io", NAMESPACE),
]  # fmt: skip
DENIED = [
    ("get", "secrets", "kube-system"), ("patch", "pods", "kube-system"), ("list", "secrets", None), ("create", "pods", NAMESPACE),
    ("delete", "pods", NAMESPACE), ("create", "pods/exec", NAMESPACE), ("get", "pods", "default"), ("create", "daemonsets.apps", "default"),
    ("create", "mirrorpolicies.cistern.dev", None), ("delete", "mirrorpolicies.cistern.dev", None), ("delete", "nodes", None),
    ("create", "nodes", None), ("patch", "nodes/status", None), ("get", "nodes/proxy", None), ("delete", "namespaces", None),
    ("patch", "namespaces", None), ("create", "events.events.k8s.io", "kube-system"), ("create", "serviceaccounts/token", NAMESPACE),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io", None), ("escalate", "clusterroles.rbac.authorization.k8s.io", None),
    ("patch", "deployments.apps", NAMESPACE), ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io", None),
    ("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", None), ("create", "mutatingwebhookconfigurations.admissionregistration.k8s.io", None),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io", None), ("impersonate", "users", None),
]  # fmt: skip


@pytest.mark.parametrize("verb,resource,namespace", ALLOWED)
def test_the_operator_may(installed, verb, resource, namespace):
    assert allowed(installed, OPERATOR, verb, resource, namespace)


@pytest.mark.parametrize("verb,resource,namespace", DENIED)
def test_the_operator_may_not(installed, verb, resource, namespace):
    assert not allowed(installed, OPERATOR, verb, resource, namespace)


def test_of_namespaces_the_operator_labels_its_own_only(installed):
    assert allowed(installed, OPERATOR, "patch", "namespaces", None, NAMESPACE)
    assert not allowed(installed, OPERATOR, "patch", "namespaces", None, "kube-system")
    roles = [one for one in objects({"namespace": {"podSecurity": ""}}) if one["kind"] == "ClusterRole"]
    assert not any("patch" in rule["verbs"] for role in roles for rule in role["rules"] if "namespaces" in rule["resources"])


@pytest.mark.parametrize("verb,resource", [("get", "secrets"), ("list", "pods"), ("get", "configmaps"), ("get", "mirrorpolicies.cistern.dev")])
def test_an_agent_may_nothing(installed, verb, resource):
    assert not allowed(installed, AGENT, verb, resource, NAMESPACE)


def test_no_right_is_a_wildcard():
    for one in objects(EVERYTHING):
        for rule in one.get("rules") or []:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], one["metadata"]["name"]


@pytest.fixture
def node(installed):
    name = "held"
    installed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "labels": {"zone": "a"}, "annotations": {"a": "b"}}}))
    # The policy is in force within moments of its creation.
    end = time.monotonic() + 30
    while installed.kubectl("label", "node", name, "other=x", "--dry-run=server", "--as", OPERATOR, check=False).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.2)
    yield name
    installed.kubectl("delete", "node", name)


LABELS = "changes only those that begin with cistern.dev.node-restriction.kubernetes.io/"
HELD = {
    "another label": ({"metadata": {"labels": {"other": "x"}}}, LABELS),
    "a label changed": ({"metadata": {"labels": {"zone": "b"}}}, LABELS),
    "a label removed": ({"metadata": {"labels": {"zone": None}}}, LABELS),
    "ours and another": ({"metadata": {"labels": {GROUP: "g", "other": "x"}}}, LABELS),
    "an annotation": ({"metadata": {"annotations": {"c": "d"}}}, "annotations, finalizers and owners alone"),
    "an annotation removed": ({"metadata": {"annotations": {"a": None}}}, "annotations, finalizers and owners alone"),
    "a finalizer": ({"metadata": {"finalizers": ["example.com/a"]}}, "annotations, finalizers and owners alone"),
    "unschedulable": ({"spec": {"unschedulable": True}}, "spec alone"),
    "a taint": ({"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}}, "spec alone"),
}


@pytest.mark.parametrize("account", [OPERATOR, UNINSTALL])
@pytest.mark.parametrize("case", HELD)
def test_of_a_node_only_our_labels_change(installed, node, account, case):
    patch, words = HELD[case]
    done = installed.kubectl("patch", "node", node, "--type=merge", "-p", json.dumps(patch), "--as", account, check=False)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize("account", [OPERATOR, UNINSTALL])
def test_our_label_is_put_on_and_taken_off(installed, node, account):
    for value in ("one", "two", None):
        patch = json.dumps({"metadata": {"labels": {GROUP: value}}})
        installed.kubectl("patch", "node", node, "--type=merge", "-p", patch, "--as", account)


def lease_of(node, **annotations):
    metadata = {"name": f"cistern-node-{node}", "namespace": NAMESPACE, "annotations": annotations}
    return json.dumps({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {"holderIdentity": node}})


@pytest.fixture
def from_node(installed, tmp_path):
    """kubectl as the node program with a token that was given to a pod on n1, or to none."""

    def kubectl(node, *arguments, stdin=None):
        config = yaml.safe_load(installed.kubeconfig.read_text())
        extra = {"authentication.kubernetes.io/node-name": [node]} if node else {}
        config["users"][0]["user"] |= {"as": NODE, "as-groups": ["system:serviceaccounts", "system:authenticated"], "as-user-extra": extra}
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return installed.kubectl("--kubeconfig", file, "-n", NAMESPACE, *arguments, stdin=stdin, check=False)

    end = time.monotonic() + 30
    while kubectl("n1", "create", "-f", "-", "--dry-run=server", stdin=lease_of("n9")).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.2)
    yield kubectl
    installed.kubectl("delete", "leases", "-n", NAMESPACE, "--all")


def test_a_node_program_writes_its_own_nodes_lease_and_no_other(from_node, installed):
    assert "its own node only" in from_node("n1", "create", "-f", "-", stdin=lease_of("n2")).stderr
    made = from_node("n1", "create", "-f", "-", stdin=lease_of("n1", a="b"))
    assert made.returncode == 0, made.stderr
    patch = json.dumps({"metadata": {"annotations": {"cistern.dev/applied-hash": "x"}}})
    changed = from_node("n1", "patch", "lease", "cistern-node-n1", "--type=merge", "-p", patch)
    assert changed.returncode == 0, changed.stderr
    assert "its own node only" in from_node("n2", "patch", "lease", "cistern-node-n1", "--type=merge", "-p", patch).stderr
    assert "is not known" in from_node("", "patch", "lease", "cistern-node-n1", "--type=merge", "-p", patch).stderr
    # The operator's own, for example: it would be leader.
    installed.kubectl("create", "-f", "-", stdin=lease_of("x").replace("cistern-node-x", "cistern-operator"))
    assert "its own node only" in from_node("n1", "patch", "lease", "cistern-operator", "--type=merge", "-p", patch).stderr


def test_a_node_program_grants_itself_nothing(from_node, installed):
    granted = {"cistern.dev/granted-hash": "x"}
    assert "granted by the operator only" in from_node("n1", "create", "-f", "-", stdin=lease_of("n1", **granted)).stderr
    assert from_node("n1", "create", "-f", "-", stdin=lease_of("n1")).returncode == 0

    def patched(who, value):
        patch = json.dumps({"metadata": {"annotations": {"cistern.dev/granted-hash": value}}})
        if who == OPERATOR:
            return installed.kubectl("patch", "lease", "-n", NAMESPACE, "cistern-node-n1", "--type=merge", "-p", patch, "--as", OPERATOR, check=False)
        return from_node("n1", "patch", "lease", "cistern-node-n1", "--type=merge", "-p", patch)

    assert "granted by the operator only" in patched(NODE, "x").stderr
    assert patched(OPERATOR, "x").returncode == 0
    for value in ("y", None):
        assert "granted by the operator only" in patched(NODE, value).stderr
    kept = from_node("n1", "patch", "lease", "cistern-node-n1", "--type=merge", "-p", json.dumps({"spec": {"leaseDurationSeconds": 300}}))
    assert kept.returncode == 0, kept.stderr


NODE_DENIED = [("patch", "nodes", None), ("get", "secrets", NAMESPACE), ("list", "pods", NAMESPACE), ("patch", "configmaps", NAMESPACE),
               ("delete", "leases.coordination.k8s.io", NAMESPACE), ("get", "mirrorpolicies.cistern.dev", None), ("get", "configmaps", "default")]  # fmt: skip


@pytest.mark.parametrize("verb,resource,namespace", NODE_DENIED)
def test_a_node_program_may_not(installed, verb, resource, namespace):
    assert not allowed(installed, NODE, verb, resource, namespace)


def test_a_node_program_may_read_what_concerns_its_node(installed):
    for verb, resource, namespace in (("watch", "nodes", None), ("watch", "configmaps", NAMESPACE), ("create", "events.events.k8s.io", "default")):
        assert allowed(installed, NODE, verb, resource, namespace), resource
    assert allowed(installed, NODE, "get", "daemonsets.apps", NAMESPACE, "cistern-node")
    assert allowed(installed, NODE, "get", "namespaces", None, NAMESPACE)
    assert not allowed(installed, NODE, "get", "daemonsets.apps", NAMESPACE, "other")


def test_others_change_nodes_as_before(installed, node):
    installed.kubectl("label", "node", node, "other=x")


def config_map(name, *, ours, **more):
    labels = {"app.kubernetes.io/managed-by": "cistern", "cistern.dev/policy": "default"} if ours else {}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", "labels": labels}, **more})


@pytest.fixture
def held_config_maps(installed):
    end = time.monotonic() + 30
    while installed.kubectl("create", "configmap", "probe", "-n", "default", "--dry-run=server", "--as", OPERATOR, check=False).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.2)
    return installed


@pytest.mark.parametrize("name,ours,words", [
    ("other", True, "writes no ConfigMaps but cistern-env"), ("cistern-environment", True, "writes no ConfigMaps but cistern-env"),
    ("cistern-env", False, "not marked as its own"), ("cistern-env-dev", False, "not marked as its own")])
def test_of_other_namespaces_config_maps_only_our_own_are_written(held_config_maps, name, ours, words):
    api = held_config_maps
    done = api.kubectl("apply", "--server-side", "-f", "-", "--as", OPERATOR, stdin=config_map(name, ours=ours), check=False)
    assert done.returncode != 0 and words in done.stderr
    api.kubectl("apply", "-f", "-", stdin=config_map(name, ours=ours))
    for account in (OPERATOR, UNINSTALL):
        done = api.kubectl("delete", "configmap", "-n", "default", name, "--as", account, check=False)
        assert done.returncode != 0 and words in done.stderr
    api.kubectl("delete", "configmap", "-n", "default", name)


@pytest.mark.parametrize("name", ["cistern-env", "cistern-env-dev", "cistern-env.none"])
def test_our_config_maps_of_other_namespaces_are_written_and_removed(held_config_maps, name):
    for data in ({"GOPROXY": "a"}, {"GOPROXY": "b"}):
        held_config_maps.kubectl("apply", "--server-side", "-f", "-", "--as", OPERATOR, stdin=config_map(name, ours=True, data=data))
    held_config_maps.kubectl("delete", "configmap", "-n", "default", name, "--as", UNINSTALL)


def test_the_uninstall_hook_may_take_back_the_label_of_its_own_namespace(installed):
    assert allowed(installed, UNINSTALL, "patch", "namespaces", None, NAMESPACE)
    assert not allowed(installed, UNINSTALL, "patch", "namespaces", None, "kube-system")


def test_the_uninstall_hook_may_do_what_it_does_to_nodes_and_injected_namespaces(installed):
    for verb, resource, namespace, name in [
        ("create", "configmaps", NAMESPACE, None), ("delete", "configmaps", "default", None), ("list", "leases.coordination.k8s.io", NAMESPACE, None),
        ("delete", "leases.coordination.k8s.io", NAMESPACE, None), ("delete", "daemonsets.apps", NAMESPACE, None), ("patch", "nodes", None, None),
        ("delete", "mutatingwebhookconfigurations.admissionregistration.k8s.io", None, "cistern")]:  # fmt: skip
        assert allowed(installed, UNINSTALL, verb, resource, namespace, name), resource
    assert not allowed(installed, UNINSTALL, "delete", "mutatingwebhookconfigurations.admissionregistration.k8s.io", None, "other")
    assert not allowed(installed, UNINSTALL, "create", "configmaps", "default")
