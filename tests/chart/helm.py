"""helm, as a user calls it, and what it makes."""

import json
import subprocess

import yaml

from api import SOURCE, tool

CHART = SOURCE / "charts" / "cistern"
NAMESPACE = "cistern-system"

# Every optional part, and every list and map with something in it.
EVERYTHING = {
    "image": {"repository": "registry.example/cistern", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always", "pullSecrets": ["pull-one", "pull-two"]},
    "operator": {
        "replicas": 3,
        "logLevel": "debug",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}],
        "podAnnotations": {"example.com/a": "b"},
        "podLabels": {"example.com/c": "d"},
    },
    "webhook": {"excludedNamespaces": ["legacy"], "certManager": {"enabled": True, "issuerRef": {"kind": "ClusterIssuer", "name": "corp"}}},
    "node": {
        "runtimes": ["containerd"], "extraPaths": ["/etc/cri/certs.d"], "configureContainerd": True, "metricsAddress": "0.0.0.0", "metricsPort": 9100,
        "tolerations": [{"key": "a", "operator": "Exists"}], "maxUnavailable": 3,
    },
    "monitoring": {
        "namespaces": ["monitoring", "observability"],
        "serviceMonitor": {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Cistern"}},
    },
}
NOTHING_OPTIONAL = {
    "operator": {"replicas": 1, "podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}},
    "priorityClasses": {"create": False},
    "crd": {"install": False},
    "namespace": {"podSecurity": ""},
    "admissionPolicy": {"enabled": False},
    "node": {"enabled": False, "metricsAddress": ""},
    "webhook": {"enabled": False},
}
SELF_SIGNED = {"webhook": {"certManager": {"enabled": True}}}
ALL_VALUES = {"defaults": {}, "everything": EVERYTHING, "nothing_optional": NOTHING_OPTIONAL, "self_signed": SELF_SIGNED}


def helm(*arguments, values=None):
    command = [tool("helm"), *arguments]
    if values is not None:
        command += ["--values", "-"]
    return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60)


def rendered(values, *arguments):
    done = helm("template", "cistern", CHART, "--namespace", NAMESPACE, *arguments, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(values):
    return [one for one in yaml.safe_load_all(rendered(values)) if one]


def pod_templates(values):
    """Name and pod specification of everything in the chart that makes pods."""
    for one in objects(values):
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], one
        elif "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]
