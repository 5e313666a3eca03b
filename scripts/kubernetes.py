"""Checks envoy/kubernetes without a cluster: what each manifest makes of Envoy's configuration is taken by a real Envoy and
plays the story; Kubernetes' own objects are held against its schemas, and others against the CRDs in CRDS=DIR, where it is
given. scripts/kubernetes calls it with what it needs at hand.
"""

import copy
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "envoy/kubernetes"
DEPLOYED = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())
KUBERNETES = "1.33"
CORE = {"v1", "apps/v1", "policy/v1", "networking.k8s.io/v1"}


def manager(bootstrap):
    (listener,) = (listener for listener in bootstrap["static_resources"]["listeners"] if listener["name"] == "ingress")
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def without_jobscope(removed):
    """What is there before a manifest is applied: a plain Envoy before the same forge."""
    bootstrap = copy.deepcopy(DEPLOYED)
    del bootstrap["stats_config"]
    plain = manager(bootstrap)
    for name in removed:
        del plain[name]
    plain["http_filters"] = [filter for filter in plain["http_filters"] if filter["name"] != "jobscope"]
    for host in plain["route_config"]["virtual_hosts"]:
        host.pop("request_body_buffer_limit", None)
    return bootstrap


def merge(into, value):
    """As protobuf does: messages are merged, lists grow, and what has its default is not there to be merged."""
    for name, field in value.items():
        if isinstance(field, dict) and isinstance(into.get(name), dict):
            merge(into[name], field)
        elif isinstance(field, list):
            into[name] = into.get(name, []) + field
        elif field not in (False, 0, ""):
            into[name] = field


def istio(documents):
    (filter,) = (document for document in documents if document["kind"] == "EnvoyFilter")
    patches = filter["spec"]["configPatches"]
    merged = [patch["patch"]["value"] for patch in patches if patch["applyTo"] == "NETWORK_FILTER"]
    bootstrap = without_jobscope([name for name in merged[0]["typed_config"] if name != "@type"])
    plain = manager(bootstrap)
    for patch in patches:
        value, operation = patch["patch"]["value"], (patch["applyTo"], patch["patch"]["operation"])
        if operation == ("NETWORK_FILTER", "MERGE"):
            merge(plain, value["typed_config"])
        elif operation == ("HTTP_FILTER", "INSERT_FIRST"):
            plain["http_filters"].insert(0, value)
        elif operation == ("VIRTUAL_HOST", "MERGE"):
            domain = patch["match"]["routeConfiguration"]["vhost"]["name"].removesuffix(":80")
            merge(*([host for host in plain["route_config"]["virtual_hosts"] if domain in host["domains"]] + [value]))
        else:
            sys.exit(f"kubernetes: nobody knows here what {operation} does")
    return json.loads(json.dumps(bootstrap).replace("outbound|80||token-lookup.internal", "token-lookup"))


def envoy_gateway(documents):
    (policy,) = (document for document in documents if document["kind"] == "EnvoyPatchPolicy")
    patches = policy["spec"]["jsonPatches"]
    chain = "/default_filter_chain/filters/0/typed_config/"
    added = [patch["operation"]["path"].removeprefix(chain) for patch in patches if "Listener" in patch["type"]]
    bootstrap = without_jobscope(name for name in added if name in manager(DEPLOYED))
    (proxy,) = (document for document in documents if document["kind"] == "EnvoyProxy")
    merge(bootstrap, yaml.safe_load(proxy["spec"]["bootstrap"]["value"]))
    assert bootstrap["stats_config"] == DEPLOYED["stats_config"], "counters have other labels than in envoy/envoy.yaml"
    plain = manager(bootstrap)
    plain["normalize_path"] = True
    clusters = bootstrap["static_resources"]["clusters"]
    for patch in patches:
        kind, operation = patch["type"].rsplit(".", 1)[1], patch["operation"]
        path, value = operation["path"], operation["value"]
        if kind == "Listener" and path.startswith(chain):
            *parents, last = path.removeprefix(chain).split("/")
            into = plain
            for parent in parents:
                into = into[parent]
            if operation["op"] == "replace" and last not in into:
                sys.exit(f"kubernetes: there is no {path} to replace")
            into.insert(int(last), value) if isinstance(into, list) else into.update({last: value})
        elif kind == "RouteConfiguration" and operation["jsonPath"] == "$.virtual_hosts[*]":
            for host in plain["route_config"]["virtual_hosts"]:
                host[path.removeprefix("/")] = value
        elif kind == "Cluster" and path == "":
            clusters[:] = [cluster for cluster in clusters if cluster["name"] != patch["name"]] + [value]
        else:
            sys.exit(f"kubernetes: nobody knows here what {operation['op']} of {path} in a {kind} does")
    return bootstrap


def render(values):
    chart = HERE / "chart"
    seen = {"Values": yaml.safe_load((chart / "values.yaml").read_text()) | values, "Release": {"Name": "jobscope"}}
    command = ["go", "run", ROOT / "scripts/render.go", *sorted((chart / "templates").iterdir())]
    rendered = subprocess.run(command, input=json.dumps(seen), stdout=subprocess.PIPE, text=True, check=True).stdout
    return [document for document in yaml.safe_load_all(rendered) if document]


def chart():
    for_a_pod = (ROOT / "envoy/envoy.yaml").read_text().replace("/etc/envoy/jobscope.wasm", "/etc/jobscope/plugin.wasm")
    values = {"envoy": for_a_pod, "token": {"value": "glpat-example"}}
    documents = render(values | {"filter": {"configMap": "jobscope-filter"}})
    documents += render(values | {"filter": {"image": "registry.example.com/tools/jobscope@sha256:00"}})
    documents += render(values | {"filter": {"configMap": "jobscope-filter"}, "rotating": {"secret": "jobscope-secrets"}})
    configuration = documents[0]["data"]
    assert configuration["envoy.yaml"] == for_a_pod.rstrip("\n"), "the configuration is handed on as it is"
    bootstrap, more = (yaml.safe_load(configuration[name]) for name in ("envoy.yaml", "ready.yaml"))
    # In a pod every address is the pod's.
    more["static_resources"]["listeners"][0]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    merge(bootstrap, more)
    return documents, bootstrap


def crds():
    found = {}
    for file in Path(os.environ["CRDS"]).glob("*.yaml") if "CRDS" in os.environ else []:
        for crd in yaml.safe_load_all(file.read_text()):
            for version in (crd or {}).get("spec", {}).get("versions", []):
                name = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                found[name] = strict(version["schema"]["openAPIV3Schema"])
    return found


def strict(schema):
    """An API server drops fields that it does not know; here they are errors."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(part) for name, part in schema.items()}
    if "properties" in schema and schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


def check_schemas(documents, known):
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["apiVersion"] in CORE:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        elif "CRDS" not in os.environ:
            continue
        elif schema := known.get((document["apiVersion"], document["kind"])):
            body = {field: part for field, part in document.items() if field not in ("apiVersion", "kind", "metadata")}
            schema["properties"] = {n: p for n, p in schema["properties"].items() if n in body}
            jsonschema.Draft202012Validator(schema).validate(body)
        else:
            print(f"kubernetes: no CRD of {name} in {os.environ['CRDS']}")


def filter_of(bootstrap):
    return manager(bootstrap)["http_filters"][0]["typed_config"]["config"]


def check_agreement(documents, bootstrap):
    """What a manifest says a second time is what envoy/envoy.yaml says."""
    ours, theirs = copy.deepcopy(filter_of(DEPLOYED)), copy.deepcopy(filter_of(bootstrap))
    for config in (ours, theirs):
        del config["configuration"], config["vm_config"]["code"]
    assert ours == theirs, f"envoy/envoy.yaml has the filter {ours}, and here it is {theirs}"
    (log,) = (log["typed_config"]["log_format"]["json_format"] for log in manager(DEPLOYED)["access_log"])
    for name, field in log.items():
        if "wasm.jobscope" in field:
            assert f'"{name}": "{field}"' in json.dumps(documents), f"the access log has no {name}"


def check_left(name, configuration, known):
    """A kind of resource that cannot set `allow_on_headers_stop_iteration`: Envoy loads what it has of jobscope, without that."""
    (document,) = documents = list(yaml.safe_load_all((HERE / f"{name}.yaml").read_text()))
    check_schemas(documents, known)
    bootstrap = copy.deepcopy(DEPLOYED)
    del filter_of(bootstrap)["allow_on_headers_stop_iteration"]
    left = filter_of(bootstrap)["configuration"]["value"] = configuration(document["spec"])
    assert left["bodies"] == "leave", f"{name} hangs where a body is read"
    validate(name, bootstrap)
    print(f"kubernetes: {name}: Envoy loads it")


def check_versions():
    def stated(file, pattern):
        return re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)[1]

    about, values = (yaml.safe_load((HERE / "chart" / name).read_text()) for name in ("Chart.yaml", "values.yaml"))
    version = stated("Cargo.toml", '^version = "(.+)"')
    assert about["version"] == about["appVersion"] == version, f"Chart.yaml is not of {version}"
    envoy = stated("scripts/setup", r"^envoy_version=([0-9.]+)")
    assert values["image"].endswith(f":v{envoy}"), f"values.yaml has not Envoy {envoy}"


DEMO = ["cargo", "run", "--locked", "--quiet", "--bin", "jobscope-demo", "--"]


def validate(name, bootstrap):
    with tempfile.NamedTemporaryFile("w", prefix=name, suffix=".json") as file:
        json.dump(bootstrap, file)
        file.flush()
        subprocess.run([*DEMO, "validate", file.name], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def play(name, bootstrap):
    validate(name, bootstrap)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        filter_of(bootstrap)["configuration"]["value"]["mode"] = "enforce"
        json.dump(bootstrap, file)
        file.flush()
        environment = os.environ | {"JOBSCOPE_ENVOY_YAML": file.name}
        played = subprocess.run(
            [*DEMO, "play"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        print(f"kubernetes: {name}: {played.stderr.strip()}")
        if played.returncode:
            sys.exit(1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(port, path):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).status
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return None


def check_lookup_service(known):
    """The service starts with the ConfigMap's configuration and the Secrets' variables, and the sidecar passes on the probes' paths
    and no other. Addresses and files are this machine's."""
    documents = list(yaml.safe_load_all((HERE / "lookup-service.yaml").read_text()))
    monitor = list(yaml.safe_load_all((HERE / "lookup-service-monitor.yaml").read_text()))
    check_schemas(documents + monitor, known)
    kinds = {document["kind"]: document for document in documents}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (service,), (sidecar,) = pod["containers"], pod["initContainers"]
    stated = re.search(r"^envoy_version=([0-9.]+)", (ROOT / "scripts/setup").read_text(), re.MULTILINE)[1]
    assert sidecar["image"].endswith(f"-v{stated}"), f"lookup-service.yaml has not Envoy {stated}"
    (port,) = {service[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    ports = [port for port in kinds["Service"]["spec"]["ports"] if port["name"] == monitor[0]["spec"]["endpoints"][0]["port"]]
    assert [at["port"] for at in ports] == [port] == [at["containerPort"] for at in sidecar["ports"]], "a port is another"
    configuration = kinds["ConfigMap"]["data"]
    lookup, watch = (yaml.safe_load(configuration[name]) for name in ("lookup.yaml", "watch.yaml"))
    api, operations, watched = free_port(), free_port(), free_port()
    lookup["api"]["listen"], lookup["operations"]["listen"] = f"127.0.0.1:{api}", f"127.0.0.1:{operations}"
    text = json.dumps(watch).replace('"port_value": 9180', f'"port_value": {operations}')
    text = text.replace("0.0.0.0", "127.0.0.1").replace(f'"port_value": {port}', f'"port_value": {watched}')
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", place / "tls.key"]
            + ["-out", place / "tls.crt"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        (place / "ca.crt").write_bytes((place / "tls.crt").read_bytes())
        mounted = [mount["mountPath"] for mount in service["volumeMounts"] if mount["name"] != "configuration"]
        for path in mounted:
            lookup = json.loads(json.dumps(lookup).replace(path, str(place)))
        (place / "lookup.json").write_text(json.dumps(lookup))
        (place / "watch.json").write_text(text)
        secrets = {variable["name"]: "of-thirty-two-bytes-or-more-to-try" for variable in service["env"]}
        program = ROOT / "target/debug/jobscope-lookup"
        envoy = ROOT / ".tools/envoy/bin/envoy"
        # What the pod has beside these arguments, and no more.
        assert service["args"][0] == "--config" and sidecar["args"][0] == "--config-path"
        commands = [
            [program, "--config", place / "lookup.json"],
            [envoy, "--config-path", place / "watch.json", *sidecar["args"][2:]],
        ]
        running = []
        try:
            for command in commands:
                running.append(subprocess.Popen(command, env=secrets, stderr=subprocess.PIPE, text=True))
            begin = time.monotonic()
            while status_of(watched, "/readyz") != 200:
                ended = [process for process in running if process.poll() is not None]
                if ended or time.monotonic() - begin > 60:
                    sys.exit("kubernetes: lookup-service: " + "\n".join(one.stderr.read() for one in ended or ()))
                time.sleep(0.1)
            paths = {service[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
            for path in paths | {monitor[0]["spec"]["endpoints"][0]["path"]}:
                assert status_of(watched, path) == 200, path
            assert status_of(watched, "/jobscope/v1/changes?wait=1") == 404, "the sidecar passes on more than it should"
        finally:
            for process in running:
                process.terminate()
                process.communicate()
    print("kubernetes: lookup-service: it starts, and its probes are answered")


def main():
    check_versions()
    known = crds()
    for name, bootstrap in (("istio", istio), ("envoy-gateway", envoy_gateway)):
        documents = list(yaml.safe_load_all((HERE / f"{name}.yaml").read_text()))
        check_schemas(documents, known)
        patched = bootstrap(documents)
        check_agreement(documents, patched)
        play(name, patched)
    check_left("istio-wasmplugin", lambda spec: spec["pluginConfig"], known)
    check_left("envoy-gateway-extension", lambda spec: spec["wasm"][0]["config"], known)
    documents, bootstrap = chart()
    check_schemas(documents, known)
    play("chart", bootstrap)
    check_lookup_service(known)


if __name__ == "__main__":
    main()
