"""Generates a client of the control API from its OpenAPI document and uses it. Then it checks each reply against its schema.

Usage: control_client.py CONTROL_URL
"""

import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from jsonschema import Draft202012Validator

HUB = "90000001"


def generated_client(control, folder):
    config = folder / "config.yml"
    config.write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{control}/openapi.json"]
    command += ["--output-path", str(folder / "control"), "--meta", "none", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    return importlib.import_module("control")


def use(control):
    """Makes calls with the generated functions and types, and returns what their replies say."""
    client = importlib.import_module("control.client").Client(base_url=control)
    models = importlib.import_module("control.models")

    def call(name, *arguments, **options):
        module = importlib.import_module(f"control.api.default.{name}")
        reply = module.sync_detailed(*arguments, client=client, **options)
        assert reply.status_code == 200, (name, reply)
        return reply.parsed

    frozen = call("set_clock_speed", body=models.ClockSpeed(speed=0.0))
    moved = call("advance_clock", body=models.ClockStep(seconds=60.0))
    hub = call("read_hub", HUB)
    devices = call("list_devices", HUB)
    tripped = call("trip_sensor", HUB, body=models.TripSensor(device="Front door", tripped=True))
    fault = call("add_fault", body=models.StatusFault(fault="status", status=503))
    active = call("list_faults")
    removed = call("remove_faults")
    assert moved.unix == frozen.unix + 60 and moved.frozen, (frozen, moved)
    assert hub.serial == HUB and hub.online and hub.devices == len(devices), hub
    assert any(item.name == "switch" for device in devices for item in device.items), devices
    assert tripped.ok
    assert [one.id for one in active] == [fault.id] and active[0].fault == "status", active
    assert removed.removed == 1


def replies(control, document):
    """Makes every call that has an answer at any time, and returns its name, status and reply."""
    values = {"serial": HUB, "id": "0"}
    order = {"snapshot_world": 0, "restore_world": 1, "delete_snapshot": 2}
    calls = [
        (order.get(operation["operationId"], 3), operation["operationId"], method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    # Its parameter retry_after is null in the report.
    request(control, "post", "/faults", {"fault": "status", "status": 503, "match": {"path": "/never"}})
    for _, name, method, path, operation in sorted(calls, key=lambda call: call[:2]):
        example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        known = {**values, "name": "before" if "states" in path else "demo.user"}
        if name == "remove_fault":
            known["id"] = str(request(control, "post", "/faults", {"fault": "status", "status": 503})[1]["id"])
        if name == "end_world":
            known["id"] = str(request(control, "post", "/worlds/0/fork", None)[1]["id"])
        for parameter, value in known.items():
            path = path.replace("{" + parameter + "}", value)
        if "application/json" in operation["responses"]["200"]["content"]:
            status, reply = request(control, method, path, example)
            yield name, status, reply


def request(control, method, path, body):
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{control}{path}", data=data, method=method.upper())
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def check_schemas(control):
    document = request(control, "get", "/openapi.json", None)[1]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    schemas = {operation["operationId"]: operation["responses"] for operation in operations}
    refused = set()
    for name, status, reply in replies(control, document):
        key = "200" if status == 200 else f"{status // 100}XX"
        schema = schemas[name][key]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": document["components"]}).validate(reply)
        if status != 200:
            refused.add(name)
    for operation in operations:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            schema = {**content["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(content["example"])
    # These need an inclusion, an exclusion or entries that nothing in this script causes.
    assert refused == {"include_device", "exclude_device", "expect_entries"}, refused


def main():
    control = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        generated_client(control, pathlib.Path(folder))
        use(control)
    check_schemas(control)
    print("generated client: ok, all replies match their schemas")


main()
