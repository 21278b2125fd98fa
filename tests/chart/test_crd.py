"""What the API server makes of the CRD: it takes it without a warning, and refuses wrong policies with the field's path."""

import json

import pytest
import yaml

from api import SOURCE

NAME = "mirrorpolicies.cistern.dev"
CRD = SOURCE / "crds" / f"{NAME}.yaml"


@pytest.fixture(scope="module")
def served(api):
    """The answer to the CRD's `kubectl apply`, once policies are served."""
    return api.apply_crd("-f", CRD)


def policy(spec, name="default"):
    return json.dumps({"apiVersion": "cistern.dev/v1alpha1", "kind": "MirrorPolicy", "metadata": {"name": name}, "spec": spec})


def apply(api, text, *arguments):
    return api.kubectl("apply", "-f", "-", *arguments, stdin=text, check=False)


def test_it_is_taken_without_a_warning_and_within_the_cost_budget(api, served):
    assert served.stderr == ""
    api.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")
    conditions = {one["type"]: one for one in json.loads(api.kubectl("get", "crd", NAME, "-o", "json").stdout)["status"]["conditions"]}
    assert conditions["Established"]["status"] == "True"
    assert conditions["NamesAccepted"]["status"] == "True"
    assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize("example", sorted((SOURCE / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_taken(api, served, example):
    answer = api.kubectl("apply", "--dry-run=server", "-f", example)
    assert answer.stderr == ""


UPSTREAM = {"url": "https://a"}
REGISTRY = {"name": "docker.io", "upstreams": [UPSTREAM]}

# What is wrong: (spec, path, words).
WRONG = {
    "unknown_field": ({"go": {"upstream": []}}, 'unknown field "spec.go.upstream"', ""),
    "wrong_type": ({"retries": "three"}, "spec.retries", "must be of type integer"),
    "beyond_bounds": ({"retries": 11}, "spec.retries", "less than or equal to 10"),
    "negative_number": ({"rateLimit": {"burst": -1}}, "spec.rateLimit.burst", "greater than or equal to 0"),
    "weight_of_nothing": ({"go": {"upstreams": [{"url": "https://a", "weight": 0}]}}, "spec.go.upstreams[0].weight", "greater than or equal to 1"),
    "unknown_word": ({"selection": "Random"}, "spec.selection", '"Ordered", "Fastest"'),
    "truth_value_for_off": ({"nodeConfig": {"mode": False}}, "spec.nodeConfig.mode", "must be of type string"),
    "null_in_a_list": ({"prefetch": {"images": [None]}}, "spec.prefetch.images[0]", "must be of type string"),
    "no_url": ({"go": {"upstreams": [{}]}}, "spec.go.upstreams[0].url", "Required value"),
    "not_a_url": ({"go": {"upstreams": [{"url": "ftp://a"}]}}, "spec.go.upstreams[0].url", "is not a URL to ask; write one such as"),
    "url_with_a_query": ({"go": {"upstreams": [{"url": "https://a/?x=y"}]}}, "spec.go.upstreams[0].url", "is not a URL to ask"),
    "credentials_in_a_url": ({"go": {"upstreams": [{"url": "https://ann:sesame@a"}]}}, "spec.go.upstreams[0].url", "holds user information"),
    "credentials_in_an_image_url": (
        {"images": {"registries": [{"name": "a", "upstreams": [{"url": "http://ann:sesame@a/b"}]}]}},
        "spec.images.registries[0].upstreams[0].url", "holds user information"),
    "credentials_without_a_scheme": ({"go": {"upstreams": [{"url": "ann:sesame@a"}]}}, "spec.go.upstreams[0].url", "holds user information"),
    "credentials_in_a_region": (
        {"regions": {"cn": {"go": {"upstreams": [{"url": "https://ann:sesame@a"}]}}}}, "spec.regions[cn].go.upstreams[0].url", "holds user information"),
    "credentials_in_a_database_url": ({"go": {"sumDB": {"url": "https://ann:sesame@a"}}}, "spec.go.sumDB.url", "holds user information"),
    "two_upstreams_of_one_name": (
        {"go": {"upstreams": [{"name": "a", "url": "https://a"}, {"name": "a", "url": "https://b"}]}}, "spec.go.upstreams", "give each its own name"),
    "two_image_upstreams_of_one_name": (
        {"images": {"registries": [{"name": "r", "upstreams": [{"name": "a", "url": "https://a"}, {"name": "a", "url": "https://b"}]}]}},
        "spec.images.registries[0].upstreams", "give each its own name"),
    "bad_name": ({"go": {"upstreams": [{"name": "a b", "url": "https://a"}]}}, "spec.go.upstreams[0].name", "write letters, digits and -_.:"),
    "bad_module_pattern": ({"go": {"private": ["a, b"]}}, "spec.go.private[0]", "is not a module pattern"),
    "bad_regular_expression": (
        {"images": {"registries": [{"name": "a", "upstreams": [{"url": "https://a", "rewrite": [{"pattern": "(", "replacement": "b"}]}]}]}},
        "spec.images.registries[0].upstreams[0].rewrite[0].pattern", "is not a regular expression (RE2)"),
    "bad_tag_expression": ({"images": {"registries": [{**REGISTRY, "immutableTags": ["["]}]}}, "spec.images.registries[0].immutableTags[0]", "(RE2)"),
    "direct_past_deny": ({"go": {"allowDirect": True, "deny": ["a.example"]}}, "spec.go.allowDirect", "would let `go` fetch what deny refuses"),
    "direct_past_deny_in_a_profile": (
        {"profiles": {"dev": {"go": {"allowDirect": True, "deny": ["a.example"]}}}}, "spec.profiles[dev].go.allowDirect", "what deny refuses"),
    "database_without_a_key": ({"go": {"sumDB": {"name": "sum.example"}}}, "spec.go.sumDB.key", "write its verifier key"),
    "key_of_another_database": (
        {"go": {"sumDB": {"key": "other+033de0ae+A" + "A" * 43}}}, "spec.go.sumDB.key", "begins with the database's name"),
    "malformed_key": ({"go": {"sumDB": {"key": "sum.golang.org+1+2"}}}, "spec.go.sumDB.key", "is not a verifier key"),
    "negative_too_long": ({"go": {"freshness": {"negative": "5m"}}}, "spec.go.freshness.negative", "write 0s to 1m"),
    "not_a_duration": ({"go": {"freshness": {"list": "soon"}}}, "spec.go.freshness.list", "is not a duration"),
    "timeout_of_nothing": ({"timeouts": {"connect": "0s"}}, "spec.timeouts.connect", "write 1ms to 24h"),
    "timeout_too_long": ({"timeouts": {"idle": "25h"}}, "spec.timeouts.idle", "write 1ms to 24h"),
    "registry_twice": ({"images": {"registries": [REGISTRY, REGISTRY]}}, "spec.images.registries[1]", "Duplicate value"),
    "registry_without_a_name": ({"images": {"registries": [{"upstreams": [UPSTREAM]}]}}, "spec.images.registries[0].name", "Required value"),
    "registry_with_a_scheme": ({"images": {"registries": [{**REGISTRY, "name": "https://docker.io"}]}}, "spec.images.registries[0].name", "without scheme or path"),
    "registry_without_an_upstream": ({"images": {"registries": [{"name": "a"}]}}, "spec.images.registries[0].upstreams", "must name at least one upstream"),
    "strict_without_node_configuration": (
        {"images": {"registries": [{**REGISTRY, "fallbackToSource": False}]}, "nodeConfig": {"mode": "Off"}},
        "spec.images.registries", "write true, or nodeConfig.mode Apply"),
    "token_host_with_a_path": (
        {"images": {"registries": [{"name": "a", "upstreams": [{"url": "https://a", "authHosts": ["b/c"]}]}]}},
        "spec.images.registries[0].upstreams[0].authHosts[0]", "is not a host"),
    "percent": ({"storage": {"minFree": "101%"}}, "spec.storage.minFree", "0% to 100%"),
    "size_of_nothing": ({"storage": {"size": "0Gi"}}, "spec.storage.size", "would store nothing"),
    "size_of_nothing_as_a_number": ({"storage": {"size": 0}}, "spec.storage.size", "would store nothing"),
    "not_a_size": ({"storage": {"size": "20Xi"}}, "spec.storage.size", "is not a size"),
    "relative_path": ({"storage": {"hostPath": "var"}}, "spec.storage.hostPath", "is not an absolute path"),
    "path_that_climbs": ({"storage": {"hostPath": "/var/../etc"}}, "spec.storage.hostPath", "is not an absolute path"),
    "max_unavailable": ({"nodeConfig": {"maxUnavailable": "some"}}, "spec.nodeConfig.maxUnavailable", "neither a number of nodes nor a percentage"),
    "max_unavailable_below_nothing": ({"nodeConfig": {"maxUnavailable": -1}}, "spec.nodeConfig.maxUnavailable", "neither a number of nodes nor"),
    "unknown_runtime": ({"nodeConfig": {"runtimes": ["docker"]}}, "spec.nodeConfig.runtimes[0]", '"containerd", "crio"'),
    "selector": ({"nodeSelector": {"disk": "ssd"}}, 'unknown field "spec.nodeSelector.disk"', ""),
    "selector_operator": ({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}, "spec.nodeSelector.matchExpressions[0].operator", '"Exists"'),
    "reference_that_is_no_name": (
        {"go": {"upstreams": [{"url": "https://a", "credentialsRef": {"name": "A/B"}}]}}, "spec.go.upstreams[0].credentialsRef.name", "is not a name"),
    "list_for_a_map": ({"agent": {"resources": []}}, "spec.agent.resources", "must be of type object"),
    "region_with_injection": ({"regions": {"cn": {"injection": {}}}}, 'unknown field "spec.regions.cn.injection"', ""),
    "region_with_deny": ({"regions": {"cn": {"go": {"deny": []}}}}, 'unknown field "spec.regions.cn.go.deny"', ""),
    "region_with_direct": ({"regions": {"cn": {"go": {"allowDirect": False}}}}, 'unknown field "spec.regions.cn.go.allowDirect"', ""),
    "region_with_private": ({"regions": {"cn": {"go": {"private": []}}}}, 'unknown field "spec.regions.cn.go.private"', ""),
    "region_with_a_database": ({"regions": {"cn": {"go": {"sumDB": {}}}}}, 'unknown field "spec.regions.cn.go.sumDB"', ""),
    "overlay_of_what_is_not_overlaid": ({"profiles": {"dev": {"priority": 1}}}, 'unknown field "spec.profiles.dev.priority"', ""),
    "overlay_registry_without_a_name": ({"regions": {"cn": {"images": {"registries": [{"tagTTL": "1m"}]}}}}, "spec.regions.cn.images.registries[0].name", "Required"),
    "overlay_duration": ({"profiles": {"dev": {"timeouts": {"connect": "soon"}}}}, "spec.profiles.dev.timeouts.connect", "should match"),
    "too_many_regions": ({"regions": {f"r{i}": {} for i in range(33)}}, "spec.regions", "must have at most 32 items"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_with_the_fields_path(api, served, case):
    spec, path, words = WRONG[case]
    answer = apply(api, policy(spec), "--dry-run=server")
    assert answer.returncode != 0
    assert path in answer.stderr
    assert words in answer.stderr
    assert "sesame" not in answer.stderr


def test_what_is_unusual_and_right_is_taken(api, served):
    spec = {
        "priority": -5,
        "nodeSelector": {"matchLabels": {"disk": "ssd"}, "matchExpressions": [{"key": "zone.example/a", "operator": "NotIn", "values": ["x"]}]},
        "go": {
            "upstreams": [
                {"url": "http://[fd00::1]:8080/path/", "match": ["*.corp.example", "[a-c]?.x/*"], "fallback": "Any", "rollout": {}},
                {"url": "https://a", "name": "two", "weight": 1000, "credentialsRef": {"name": "corp"}, "caRef": {"name": "corp-ca"}},
            ],
            "sumDB": {"mode": "Off"},
            "freshness": {"negative": "0s", "list": "1h2m3.5s"},
        },
        "images": {"registries": [{"name": "localhost:5000", "upstreams": [{"url": "https://a/b@c"}], "immutableTags": ["v?[0-9]+"]}]},
        "storage": {"size": 1000000, "minFree": "0%"},
        "nodeConfig": {"mode": "Off", "maxUnavailable": 1, "runtimes": []},
        "injection": {"env": {"A": "b"}},
        "agent": {"resources": {"limits": {"memory": "1Gi"}}, "tolerations": [], "affinity": {"nodeAffinity": {}}},
        "regions": {"cn": {"go": {"upstreams": [{"url": "https://b"}]}, "agent": {"hostNetwork": True}}},
        "profiles": {"dev": {"injection": {"mode": "Off"}, "go": {"deny": []}}},
    }
    answer = apply(api, policy(spec), "--dry-run=server")
    assert answer.returncode == 0, answer.stderr
    # Maps that are passed on keep what the schema does not know.
    stored = json.loads(apply(api, policy(spec), "--dry-run=server", "-o", "json").stdout)["spec"]
    assert stored["agent"]["resources"] == {"limits": {"memory": "1Gi"}}
    assert stored["agent"]["affinity"] == {"nodeAffinity": {}}
    # Defaults are filled in spec, and nowhere in an overlay.
    assert stored["retries"] == 3
    assert stored["go"]["upstreams"][0]["rollout"] == {"percent": 100}
    assert stored["images"]["registries"][0]["tagTTL"] == "5m"
    assert stored["regions"] == spec["regions"]
    assert stored["profiles"] == spec["profiles"]
    assert "timeouts" not in stored


def test_an_overlays_registries_are_merged_by_server_side_apply(api, served):
    mine, yours = ({"name": name, "upstreams": [UPSTREAM]} for name in ("docker.io", "quay.io"))
    try:
        for manager, registry in (("mine", mine), ("yours", yours)):
            api.kubectl("apply", "--server-side", "--field-manager", manager, "-f", "-", stdin=policy({"images": {"registries": [registry]}}, "shared"))
        stored = json.loads(api.kubectl("get", "mp", "shared", "-o", "json").stdout)
        assert [one["name"] for one in stored["spec"]["images"]["registries"]] == ["docker.io", "quay.io"]
    finally:
        api.kubectl("delete", "mp", "shared", "--ignore-not-found")


STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "2 of 2 agents are ready and in force", "observedGeneration": 1,
         "lastTransitionTime": "2025-01-31T12:00:00Z"},
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2025-01-31T12:00:00Z"},
    ],
    "agents": {"desired": 2, "ready": 2, "summary": "2/2"},
    "nodes": {"selected": 2, "configured": 0, "drifted": 0, "failed": 0, "isolated": 0},
    "cache": {"hitRatio": "0.97", "storedBytes": 1 << 40, "upstreamBytesSaved": 1 << 41},
    "groups": [{"name": "seen-cn", "region": "cn", "profile": "dev", "nodes": 2, "ready": 2, "configHash": "0123456789abcdef"}],
    "groupsOmitted": 1,
}


def test_the_status_is_kept_whole_and_shown_in_columns(api, served):
    api.kubectl("apply", "-f", "-", stdin=policy({}, "seen"))
    try:
        api.kubectl("patch", "mp", "seen", "--subresource=status", "--type=merge", "-p", json.dumps({"status": STATUS}))
        stored = json.loads(api.kubectl("get", "mp", "seen", "-o", "json").stdout)
        assert stored["status"] == STATUS
        header, row = api.kubectl("get", "mp", "seen").stdout.splitlines()
        assert header.split() == ["NAME", "READY", "AGENTS", "NODES", "HIT", "RATIO", "AGE"]
        assert row.split()[:5] == ["seen", "True", "2/2", "2", "0.97"]
        wide = api.kubectl("get", "cistern", "-o", "wide").stdout
        assert "MESSAGE" in wide and "2 of 2 agents are ready and in force" in wide
    finally:
        api.kubectl("delete", "mp", "seen", "--ignore-not-found")


def test_the_status_does_not_change_with_spec(api, served):
    answer = json.loads(apply(api, json.dumps({**json.loads(policy({}, "fresh")), "status": STATUS}), "--dry-run=server", "-o", "json").stdout)
    assert "status" not in answer


def test_fields_are_explained(api, served):
    assert "Module proxies, asked in order." in api.kubectl("explain", "mirrorpolicy.spec.go").stdout


def test_helm_keeps_it():
    crd = yaml.safe_load(CRD.read_text())
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
