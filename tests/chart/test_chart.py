"""What the chart makes: valid for the API server, no more rights than it lists, and no way round them."""

import json
import re
import time

import pytest
import yaml

from api import SOURCE
from helm import ALL_VALUES, CHART, EVERYTHING, NAMESPACE, NOTHING_OPTIONAL, SELF_SIGNED, helm, objects, pod_templates, rendered

OPERATOR = f"system:serviceaccount:{NAMESPACE}:cistern-operator"
UNINSTALL = f"system:serviceaccount:{NAMESPACE}:cistern-uninstall"
NODE = f"system:serviceaccount:{NAMESPACE}:cistern-node"
AGENT = f"system:serviceaccount:{NAMESPACE}:cistern-agent"
GROUP = "cistern.dev.node-restriction.kubernetes.io/group"


@pytest.mark.parametrize("values", ALL_VALUES)
def test_helm_finds_nothing_to_lint(values):
    done = helm("lint", "--strict", CHART, values=ALL_VALUES[values])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout + done.stderr


WRONG_VALUES = {
    "unknown value": ({"replicas": 3}, "replicas"),
    "unknown value of the operator": ({"operator": {"replica": 3}}, "replica"),
    "text for a number": ({"operator": {"replicas": "2"}}, "/operator/replicas"),
    "webhook that is no switch": ({"webhook": {"enabled": "yes"}}, "/webhook/enabled"),
    "unknown field of an issuer": ({"webhook": {"certManager": {"issuerRef": {"nam": "x"}}}}, "nam"),
    "a folder that is the root's": ({"node": {"cachePaths": ["/data"]}}, "/node/cachePaths/0"),
    "no node program at a time": ({"node": {"maxUnavailable": "0%"}}, "/node/maxUnavailable"),
    "unknown runtime": ({"node": {"runtimes": ["docker"]}}, "/node/runtimes/0"),
    "no replica": ({"operator": {"replicas": 0}}, "/operator/replicas"),
    "unknown pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "repository with a digest": ({"image": {"repository": "a/b@sha256:0"}}, "/image/repository"),
    "short digest": ({"image": {"digest": "sha256:0"}}, "/image/digest"),
    "unknown log level": ({"operator": {"logLevel": "loud"}}, "/operator/logLevel"),
    "level under which no agent starts": ({"namespace": {"podSecurity": "baseline"}}, "/namespace/podSecurity"),
    "time without a unit": ({"uninstall": {"timeout": "120"}}, "/uninstall/timeout"),
    "time of a cleanup without a unit": ({"operator": {"cleanupTimeout": "120"}}, "/operator/cleanupTimeout"),
    "budget that lets no node be drained": ({"operator": {"podDisruptionBudget": {"minAvailable": 2}}}, "would let no node be drained"),
}


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_wrong_values_are_refused_by_name(case):
    values, words = WRONG_VALUES[case]
    done = helm("template", "cistern", CHART, values=values)
    assert done.returncode != 0
    assert words in done.stderr


def test_older_kubernetes_is_refused():
    done = helm("template", "cistern", CHART, "--kube-version", "1.29.9")
    assert done.returncode != 0
    assert "kubeVersion: >=1.30.0-0" in done.stderr
    assert helm("template", "cistern", CHART, "--kube-version", "1.30.0-gke.1").returncode == 0


FOREIGN_KINDS = [
    ("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"), ("monitoring.coreos.com", "podmonitors", "PodMonitor"),
    ("monitoring.coreos.com", "prometheusrules", "PrometheusRule"), ("cert-manager.io", "certificates", "Certificate"),
    ("cert-manager.io", "issuers", "Issuer"),
]  # fmt: skip


def foreign_crds():
    """Of the Prometheus Operator's kinds and cert-manager's, which the API server has to know; their schema is their own affair."""
    for group, plural, kind in FOREIGN_KINDS:
        spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"type": "object", "properties": {"spec": spec}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]},
        }  # fmt: skip


@pytest.fixture(scope="module")
def installed(api):
    """The chart's objects by its defaults in the API server, all but what hooks run."""
    api.kubectl("create", "namespace", NAMESPACE)
    for crd in foreign_crds():
        api.apply_crd("-f", "-", stdin=json.dumps(crd))
    lasting = [one for one in objects({}) if one["kind"] not in ("Pod", "Job")]
    answer = api.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(lasting))
    assert answer.stderr == ""
    return api


@pytest.mark.parametrize("values", ALL_VALUES)
def test_the_api_server_takes_it_without_a_warning(installed, values):
    answer = installed.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=rendered(ALL_VALUES[values]))
    assert answer.stderr == ""


@pytest.mark.parametrize("values", ALL_VALUES)
def test_its_pods_are_admitted_under_the_restricted_level(installed, values):
    installed.kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}))
    seen = []
    for name, template in pod_templates(ALL_VALUES[values]):
        if name.startswith("cistern-node"):
            continue  # it changes files of the host
        spec = {key: value for key, value in template["spec"].items() if key != "priorityClassName"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "restricted"}, "spec": spec}
        installed.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
        seen.append(name)
    assert sorted(seen) == ["cistern-operator", "cistern-test-health", "cistern-uninstall"]


def test_its_pods_have_no_privilege():
    for name, template in pod_templates({}):
        spec = template["spec"]
        if name == "cistern-node":
            continue
        assert spec["securityContext"]["runAsUser"] == 65532, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "hostNetwork" not in spec and "volumes" not in spec, name
        assert spec["automountServiceAccountToken"] is (name != "cistern-test-health"), name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, name
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], name


def test_agents_have_neither_a_token_nor_a_role():
    accounts = {one["metadata"]["name"]: one for one in objects(EVERYTHING) if one["kind"] == "ServiceAccount"}
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    bound = [subject["name"] for one in objects(EVERYTHING) if one["kind"].endswith("RoleBinding") for subject in one["subjects"]]
    assert "cistern-agent" in accounts
    assert set(bound) == {"cistern-operator", "cistern-uninstall", "cistern-node"}


def node_program(values):
    (made,) = [one for one in objects(values) if one["kind"] == "DaemonSet"]
    return made["metadata"]["name"], made["spec"]["template"]["spec"]


def test_the_node_program_has_the_folders_and_rights_that_it_needs_and_no_more():
    name, spec = node_program({})
    (container,) = spec["containers"]
    assert name == "cistern-node" and spec["hostNetwork"] and spec["hostPID"] and spec["terminationGracePeriodSeconds"] >= 30
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL"]}
    assert "privileged" not in container["securityContext"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert {one["mountPath"]: one["readOnly"] for one in container["volumeMounts"]} == {
        "/host/etc/containerd": False, "/host/etc/containers": False, "/host/etc/crio": True, "/host/var/lib/cistern-node": False, "/host/var/lib/cistern": False}
    assert [volume["hostPath"]["path"] for volume in spec["volumes"]] == [mount["mountPath"].removeprefix("/host") for mount in container["volumeMounts"]]


def test_the_node_program_is_privileged_only_where_it_may_restart_containerd():
    name, spec = node_program(EVERYTHING)
    (container,) = spec["containers"]
    assert container["securityContext"]["privileged"] and "capabilities" not in container["securityContext"]
    assert [one["mountPath"] for one in container["volumeMounts"]] == [
        "/host/etc/containerd", "/host/var/lib/cistern-node", "/host/var/lib/cistern", "/host/etc/cri/certs.d"]
    operator = [template for name, template in pod_templates(EVERYTHING) if name == "cistern-operator"][0]
    assert {"--node-program", "--configure-containerd"} <= set(operator["spec"]["containers"][0]["args"])


def test_without_the_node_program_only_nodes_that_were_left_are_restored():
    name, spec = node_program(NOTHING_OPTIONAL)
    assert name == "cistern-node-restore" and "--daemon-set=cistern-node-restore" in spec["containers"][0]["args"]
    assert spec["nodeSelector"]["cistern.dev.node-restriction.kubernetes.io/restore"] == "true"
    operator = [template for name, template in pod_templates(NOTHING_OPTIONAL) if name == "cistern-operator"][0]
    assert "--node-program" not in operator["spec"]["containers"][0]["args"]


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


def webhook_of(values):
    return [one for one in objects(values) if one["kind"] == "MutatingWebhookConfiguration"]


def test_the_webhook_stops_no_pod_and_leaves_the_system_alone():
    (webhook,) = webhook_of(EVERYTHING)[0]["webhooks"]
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"], webhook["reinvocationPolicy"], webhook["sideEffects"]) == ("Ignore", 3, "IfNeeded", "None")
    assert [(rule["operations"], rule["resources"]) for rule in webhook["rules"]] == [(["CREATE"], ["pods"])]
    (left_out,) = webhook["namespaceSelector"]["matchExpressions"]
    assert left_out["values"] == ["kube-system", "kube-public", "kube-node-lease", NAMESPACE, "legacy"]
    assert webhook["clientConfig"] == {"service": {"name": "cistern-webhook", "namespace": NAMESPACE, "path": "/mutate-pods", "port": 443}}
    assert webhook_of(NOTHING_OPTIONAL) == []


def test_certificates_are_the_operators_unless_cert_manager_makes_them():
    def arguments(values):
        return [template["spec"]["containers"][0]["args"] for name, template in pod_templates(values) if name == "cistern-operator"][0]

    assert "--webhook-certificates=external" not in arguments({})
    assert "annotations" not in webhook_of({})[0]["metadata"]
    for values in (EVERYTHING, SELF_SIGNED):
        assert "--webhook-certificates=external" in arguments(values)
        assert webhook_of(values)[0]["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/cistern-webhook"}
        (certificate,) = [one for one in objects(values) if one["kind"] == "Certificate"]
        assert certificate["spec"]["secretName"] == "cistern-webhook"
    assert "--webhook=" in arguments(NOTHING_OPTIONAL)


def test_a_namespace_that_would_refuse_agents_is_said_at_once(installed):
    # `lookup` asks the cluster only in a real or server-side run.
    installed.kubectl("create", "namespace", "hard")
    installed.kubectl("label", "namespace", "hard", "pod-security.kubernetes.io/enforce=baseline")
    command = ["install", "cistern", CHART, "--namespace", "hard", "--dry-run=server", "--kubeconfig", installed.kubeconfig]
    refused = helm(*command, values={"namespace": {"podSecurity": ""}, "crd": {"install": False}})
    assert refused.returncode != 0
    assert "kubectl label --overwrite namespace hard pod-security.kubernetes.io/enforce=privileged" in refused.stderr


def test_the_crd_is_the_one_in_crds():
    made = [one for one in objects({}) if one["kind"] == "CustomResourceDefinition"]
    assert made == [yaml.safe_load((SOURCE / "crds" / "mirrorpolicies.cistern.dev.yaml").read_text())]


def test_a_package_holds_all_of_it(tmp_path):
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    packed = helm("template", "cistern", next(tmp_path.glob("*.tgz")), "--namespace", NAMESPACE, values=EVERYTHING)
    assert packed.stdout == rendered(EVERYTHING)


def test_the_uninstall_hook_runs_before_anything_goes():
    hooks = [one for one in objects({}) if "pre-delete" in one["metadata"].get("annotations", {}).get("helm.sh/hook", "")]
    weights = {one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in hooks}
    assert weights["ServiceAccount"] < weights["ClusterRoleBinding"] < weights["Job"]
    assert {one["metadata"]["name"] for one in hooks} == {"cistern-uninstall"}


def test_the_uninstall_hook_does_nothing_where_somebody_applies_what_helm_template_prints():
    job = [one for one in yaml.safe_load_all(rendered({})) if one and one["kind"] == "Job"][0]
    assert "--helm-release=cistern" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert not any(one and one["kind"] in ("Job", "Pod") for one in yaml.safe_load_all(rendered({}, "--no-hooks")))


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


def dashboard():
    maps = [one for one in objects(EVERYTHING) if one["kind"] == "ConfigMap"]
    return json.loads(maps[0]["data"]["cistern.json"])


def alerts():
    rules = [one for one in objects(EVERYTHING) if one["kind"] == "PrometheusRule"]
    return [rule for group in rules[0]["spec"]["groups"] for rule in group["rules"]]


def test_alerts_say_what_to_do():
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["annotations"]["description"], rule["alert"]


def metrics_of(expressions):
    names = set()
    for expression in expressions:
        plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on) \([^)]*\)", "", expression)
        names |= set(re.findall(r"\b(?:cistern|controller_runtime|workqueue|leader_election|rest_client|process)_[a-z_]+", plain))
    return {re.sub(r"_bucket$", "", name) for name in names}


def test_alerts_and_dashboard_use_metrics_that_are_documented():
    page = (SOURCE / "docs" / "operations.md").read_text()
    panels = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    used = metrics_of(panels + [rule["expr"] for rule in alerts()])
    assert len(used) > 15
    assert [name for name in sorted(used) if f"`{name}" not in page] == []


def test_every_alert_and_every_value_is_documented():
    page = (SOURCE / "docs" / "operations.md").read_text()
    assert [rule["alert"] for rule in alerts() if f"`{rule['alert']}`" not in page] == []

    def leaves(schema, path):
        for name, below in schema.get("properties", {}).items():
            yield from leaves(below, f"{path}.{name}" if path else name)
        if "properties" not in schema:
            yield path

    schema = json.loads((CHART / "values.schema.json").read_text())
    values = [value for value in leaves(schema, "") if value != "global"]
    assert len(values) > 25
    assert [value for value in values if f"`{value}`" not in page] == []


def test_every_metric_of_the_source_is_documented():
    page = (SOURCE / "docs" / "operations.md").read_text()
    names = set()
    for folder in ("cache-agent", "operator"):
        for file in (SOURCE / folder).rglob("*.cpp"):
            names |= set(re.findall(r'"((?:cistern|controller_runtime|workqueue|leader_election|rest_client)_[a-z_]+)"', file.read_text()))
    assert "cistern_requests_total" in names
    assert [name for name in sorted(names) if f"`{name}" not in page] == []
