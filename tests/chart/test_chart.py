"""What the chart makes: valid for the API server, and no more than it needs."""

import json
import re

import pytest
import yaml

from api import SOURCE
from helm import ALL_VALUES, CHART, EVERYTHING, NAMESPACE, NOTHING_OPTIONAL, SELF_SIGNED, helm, objects, pod_templates, rendered


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
