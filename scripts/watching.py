"""Checks envoy/watching: the rules against their stories, in the real promtool; every name and every label's value that is asked
for against the table of counters in docs/operations.md, which the code makes; what to do about each alert against the
chapters there. The dashboard is made from the same table. scripts/watching calls it with what it needs at hand.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "envoy/watching"
PAGE = (ROOT / "docs/operations.md").read_text()
RULES = [HERE / "recording.yaml", HERE / "alerts.yaml"]
SELECTED = '{job="jobscope", instance=~"$instance"}'


def counters():
    """Name, kind, labels with their values, and what is counted."""
    (table,) = re.findall(r"<!-- counters: .*?-->(.*?)<!-- end of counters -->", PAGE, re.DOTALL)
    for name, kind, labels, counts in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", table, re.MULTILINE):
        words = [re.findall(r"`(\w+)`", label) for label in labels.split("; ")]
        yield name, kind, {label: set(values) for label, *values in filter(None, words)}, counts


COUNTERS = list(counters())
SERIES = {
    f"jobscope_{name}{end}"
    for name, kind, _, _ in COUNTERS
    for end in (("_bucket", "_count", "_sum") if kind == "histogram" else ("",))
}
# Two counters may have a label in common, with other values.
LABELS = {}
for _, _, labels, _ in COUNTERS:
    for label, values in labels.items():
        LABELS.setdefault(label, set()).update(values)


def expressions(name, kind, labels):
    """What a panel asks for, with what a line is called."""

    def by(*more):
        return f"by ({', '.join([*labels, *more])}) "

    legend = " ".join(f"{{{{{label}}}}}" for label in labels) or name
    if name.endswith("_seconds"):
        # A moment: how long it is until then. 0 is none.
        return [(f"min {by()}(jobscope_{name}{SELECTED} > 0) - time()", legend)]
    if kind == "gauge":
        return [(f"sum {by()}(jobscope_{name}{SELECTED}) > 0", legend)]
    if kind == "counter":
        return [(f"sum {by()}(rate(jobscope_{name}{SELECTED}[$__rate_interval])) > 0", legend)]
    rate = f"sum {by('le')}(rate(jobscope_{name}_bucket{SELECTED}[$__rate_interval]))"
    return [(f"histogram_quantile({part}, {rate})", f"{legend} {part}") for part in (0.5, 0.99)]


def panel(number, name, kind, labels, counts):
    gauge = {"bytes": "bytes", "seconds": "s"}.get(name.rpartition("_")[2], "short")
    units = {"counter": "cps", "gauge": gauge, "histogram": "ms"}
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": name,
        "description": counts,
        "datasource": source,
        "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": units[kind], "min": 0}, "overrides": []},
        "targets": [
            {"refId": "AB"[at], "datasource": source, "expr": expression, "legendFormat": legend}
            for at, (expression, legend) in enumerate(expressions(name, kind, labels))
        ],
    }


def dashboard():
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    instance = {
        "name": "instance",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": 'label_values(jobscope_info{job="jobscope"}, instance)',
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "refresh": 2,
    }
    return {
        "uid": "jobscope",
        "title": "jobscope",
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [source, instance]},
        "panels": [panel(number, *counter) for number, counter in enumerate(COUNTERS)],
    }


def check_tags():
    tags = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())["stats_config"]["stats_tags"]
    expected = [{"tag_name": label, "regex": rf"^wasmcustom\.jobscope\..+(\.{label}\.(\w+))"} for label in LABELS]
    assert tags == expected, f"envoy/envoy.yaml: expected stats_tags {expected}"


def check_words(query, recorded):
    """promtool knows no names: a misspelt one is an alert that never fires."""
    for name in re.findall(r"\bjobscope_\w+", query):
        assert name in SERIES, f"nothing is counted as {name}: {query}"
    for name in re.findall(r"\bjobscope:[\w:]+", query):
        assert name in recorded, f"nothing is recorded as {name}: {query}"
    for label, values in re.findall(r'(\w+)=~?"([^"]*)"', query):
        strange = set(values.split("|")) - LABELS.get(label, set(values.split("|")))
        assert not strange, f"{label} is never {strange}: {query}"


def promtool(*arguments):
    done = subprocess.run([os.environ["PROMTOOL"], *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"watching: promtool {arguments[0]} {arguments[1]}:\n{done.stdout}")


def check_parses(queries):
    plain = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]
    rules = [{"record": f"panel:{at}", "expr": query} for at, query in enumerate(plain)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}, file)
        file.flush()
        promtool("check", "rules", file.name)


def main():
    made = json.dumps(dashboard(), indent=2) + "\n"
    if sys.argv[1:] == ["write"]:
        (HERE / "dashboard.json").write_text(made)
    assert (HERE / "dashboard.json").read_text() == made, "the dashboard is not of this table: `make docs` writes it anew"
    check_tags()

    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    rules = [rule for group in groups for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    alerts = [rule for rule in rules if "alert" in rule]
    panels = [target["expr"] for panel in json.loads(made)["panels"] for target in panel["targets"]]
    for query in [rule["expr"] for rule in rules] + panels:
        check_words(query, recorded)
    check_parses(panels)
    promtool("check", "rules", *map(str, RULES))

    _, chapter = PAGE.split("\n## Alerts\n")
    chapters = re.findall(r"^### (.+)$", chapter.split("\n## ")[0], re.MULTILINE)
    named = [alert["alert"] for alert in alerts]
    assert chapters == named, f"docs/operations.md has chapters on {chapters}, and there are alerts {named}"
    for alert in alerts:
        anchor = f"docs/operations.md#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook"] == anchor, f"expected the runbook {anchor}"
    stories = (HERE / "tests.yaml").read_text()
    untold = [name for name in named if f'alertname="{name}"' not in stories]
    assert not untold, f"no story makes {untold} fire"
    promtool("test", "rules", str(HERE / "tests.yaml"))
    print(f"watching: {len(named)} alerts fire when they must; {len(panels)} queries of the dashboard can be read")


if __name__ == "__main__":
    main()
