#!/usr/bin/env python3
"""Checks that every exchange recorded by the contract suite is one that openapi.yaml allows.

    conform.py openapi.yaml exchanges.jsonl --phase N

For each: the path is a template of the file that phase N has on the listener that was asked (those
with servers of their own are the admin listener's), with this method and this status; the
content type is listed; required headers are there and every listed header fits its schema; the body
fits its schema, problem code included. Where the reply is a success, the request had every header
that the file requires, as the file writes it (a server that takes less than it asks for has no rule). A path or method that the file does not have in phase N may
get what x-undeclared-path and x-undeclared-method say, bytes that are no request what
x-undeclared-any says. A path whose parameter does not fit its schema may also be taken for an
undeclared one. What the phase does not have (x-phase-from, x-phase-until, x-code-phases) is not
allowed in it.

It judges one exchange at a time and knows nothing of what an order means: that is the suite's part.
Exit status: 0 all allowed, 1 not all, or no exchange at all; 64 usage.
"""
import argparse
import base64
import json
import re
import sys
import uuid

import yaml
from jsonschema import Draft202012Validator, FormatChecker

SHOWN_MAX = 20  # faults that are printed
DEPTH_MAX = 32  # references inside one another
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

formats = FormatChecker(formats=())


@formats.checks("uuid", raises=ValueError)
def is_uuid(value):
    return not isinstance(value, str) or str(uuid.UUID(value)) == value.lower()


@formats.checks("date-time")
def is_date_time(value):
    return not isinstance(value, str) or DATE_TIME.fullmatch(value) is not None


class Fault(Exception):
    """The exchange is not one that the file allows."""


def in_phase(node, phase):
    """Whether the phase has what the marks on the node say; a list of marks: any of them."""
    if isinstance(node, list):
        return any(in_phase(item, phase) for item in node)
    return node.get("x-phase-from", 0) <= phase <= node.get("x-phase-until", phase)


class Contract:
    """What the file says of one listener of phase N: references resolved, what it lacks left out."""

    def __init__(self, document, phase, listener):
        self.document = document
        self.phase = phase
        self.listener = listener
        self.validators = {}
        self.paths = []
        for template, item in document["paths"].items():
            operations = self.operations(item)
            if operations:
                names = re.sub(r"\{([^}]*)\}", r"(?P<\1>[^/]+)", template)
                self.paths.append((re.compile(names), template, operations))
        self.paths.sort(key=lambda path: "{" in path[1])

    def resolve(self, node, depth=0):
        """The node with every $ref replaced by what it names."""
        if depth > DEPTH_MAX:
            raise ValueError("references go in a circle")
        if isinstance(node, list):
            return [self.resolve(item, depth) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = self.document
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key.replace("~1", "/").replace("~0", "~")]
            return self.resolve(target, depth + 1)
        resolved = {key: self.resolve(value, depth) for key, value in node.items()}
        return self.without_later(resolved)

    def without_later(self, schema):
        """Leaves out the enum's values and the alternatives that the phase does not have."""
        marks = schema.get("x-code-phases")
        if isinstance(marks, dict) and isinstance(schema.get("enum"), list):
            schema["enum"] = [value for value in schema["enum"]
                              if in_phase(marks.get(value, {}), self.phase)]
        if isinstance(schema.get("oneOf"), list):
            schema["oneOf"] = [item for item in schema["oneOf"] if in_phase(item, self.phase)]
        return schema

    def operations(self, item):
        """The path's methods on this listener."""
        if ("servers" in item) != (self.listener == "admin"):
            return {}
        shared = self.resolve(item.get("parameters", []))
        found = {}
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                resolved = self.resolve(operation)
                if in_phase(resolved, self.phase):
                    resolved["parameters"] = shared + resolved.get("parameters", [])
                    found[method.upper()] = resolved
        return found

    def undeclared(self, *kinds):
        """The document's own replies of these kinds, as pairs of status and reply."""
        pairs = [("404", self.resolve(self.document["x-undeclared-path"]))] * ("path" in kinds)
        pairs += [("405", self.resolve(self.document["x-undeclared-method"]))] * ("method" in kinds)
        return pairs + list(self.resolve(self.document["x-undeclared-any"]).items())

    def candidates(self, method, path):
        """What the file allows for a request: a name for it, and pairs of status and reply."""
        if method is None or path is None:
            return "(no request)", self.undeclared()
        bare = path.split("?", 1)[0]
        for pattern, template, operations in self.paths:
            match = pattern.fullmatch(bare)
            if match is None:
                continue
            name = f"{method} {template}"
            if method not in operations:
                return f"{name} (undeclared method)", self.undeclared("method")
            pairs = list(operations[method]["responses"].items())
            if not self.fits_parameters(operations[method], match.groupdict()):
                pairs += self.undeclared("path")
            return name, pairs
        return "(undeclared path)", self.undeclared("path")

    def parameters(self, exchange):
        """Of the operation that the exchange is one of; none for what the file does not list."""
        bare = exchange["path"].split("?", 1)[0]
        for pattern, _, operations in self.paths:
            if pattern.fullmatch(bare) and exchange["method"] in operations:
                return operations[exchange["method"]]["parameters"]
        return []

    def fits_parameters(self, operation, values):
        return all(self.fits(parameter["schema"], values[parameter["name"]])
                   for parameter in operation["parameters"] if parameter["in"] == "path")

    def fits(self, schema, text):
        """Whether the text, or the number that it writes, fits the schema."""
        return not self.complaint(schema, as_value(schema, text))

    def complaint(self, schema, value):
        key = id(schema)
        if key not in self.validators:  # the schema is kept too, so that its id stays its own
            self.validators[key] = (Draft202012Validator(schema, format_checker=formats), schema)
        error = next(iter(self.validators[key][0].iter_errors(value)), None)
        return "" if error is None else f"{'/'.join(map(str, error.absolute_path))} {error.message}"


def as_value(schema, text):
    if schema.get("type") == "integer" and re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return text


def header_values(exchange):
    values = {}
    for name, value in exchange["headers"]:
        if name.lower() in values:
            raise Fault(f"header {name} twice")
        values[name.lower()] = value
    return values


def body_text(exchange):
    if "body_base64" not in exchange:
        return exchange["body"]
    try:
        return base64.b64decode(exchange["body_base64"]).decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("the body is not UTF-8") from None


def check_headers(contract, reply, values):
    for name, header in reply.get("headers", {}).items():
        if not in_phase(header, contract.phase):
            if name.lower() in values:
                raise Fault(f"header {name} is not of this phase")
            continue
        value = values.get(name.lower())
        if value is None:
            if header.get("required") or header.get("x-required-from", 99) <= contract.phase:
                raise Fault(f"header {name} is missing")
        elif complaint := contract.complaint(header["schema"], as_value(header["schema"], value)):
            raise Fault(f"header {name}: {complaint}")


def check_request(contract, exchange, parameters):
    """The headers that the phase requires of a request that succeeds."""
    sent = {name.lower(): value for name, value in exchange["request_headers"].items()}
    for parameter in parameters:
        if parameter["in"] != "header" or not in_phase(parameter, contract.phase):
            continue
        if not parameter.get("required") and contract.phase < parameter.get("x-required-from", 99):
            continue
        value = sent.get(parameter["name"].lower())
        if value is None:
            raise Fault(f"{exchange['status']} without {parameter['name']} in the request")
        if complaint := contract.complaint(parameter["schema"], value):
            raise Fault(f"{exchange['status']} for {parameter['name']}: {complaint}")


def check_body(contract, exchange, reply, values):
    content = reply.get("content", {})
    kind = values.get("content-type", "").split(";")[0].strip().lower()
    if kind not in content:
        raise Fault(f"content type '{kind}' is not among {', '.join(content)}")
    text = body_text(exchange)
    if exchange["method"] == "HEAD":
        if text:
            raise Fault("a reply to HEAD has a body")
        return
    try:
        value = json.loads(text) if kind.endswith("json") else text
    except ValueError:
        raise Fault("the body is not JSON") from None
    if complaint := contract.complaint(content[kind]["schema"], value):
        raise Fault(f"body: {complaint}")


def check(contract, exchange):
    """Raises Fault unless the file allows the exchange; returns a name for what it is."""
    name, pairs = contract.candidates(exchange["method"], exchange["path"])
    listed = [reply for status, reply in pairs
              if status == str(exchange["status"]) and in_phase(reply, contract.phase)]
    if not listed:
        raise Fault(f"{name}: status {exchange['status']} is not listed for phase {contract.phase}")
    faults = []
    for reply in listed:
        try:
            values = header_values(exchange)
            check_headers(contract, reply, values)
            check_body(contract, exchange, reply, values)
            if exchange["status"] < 400:
                check_request(contract, exchange, contract.parameters(exchange))
            return name
        except Fault as fault:
            faults.append(str(fault))
    raise Fault(f"{name}: {exchange['status']}: {faults[0]}")


def read_exchanges(path):
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, json.loads(line)
            except ValueError:
                raise SystemExit(f"conform: {path}:{number}: not a JSON object") from None


def report(counts, faults, phase):
    for name in sorted(counts):
        print(f"{counts[name]:6d}  {name}")
    for fault in faults[:SHOWN_MAX]:
        print(f"not allowed: {fault}")
    if len(faults) > SHOWN_MAX:
        print(f"... and {len(faults) - SHOWN_MAX} more")
    total = sum(counts.values()) + len(faults)
    print(f"conform: phase {phase}: {total} exchanges, {total - len(faults)} allowed, "
          f"{len(faults)} not")
    if total == 0:
        print("conform: no exchange at all proves nothing")
    return 0 if total > 0 and not faults else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("openapi")
    parser.add_argument("exchanges")
    parser.add_argument("--phase", type=int, required=True)
    parser.error = lambda message: (parser.print_usage(sys.stderr), print(f"conform: {message}",
                                    file=sys.stderr), sys.exit(64))
    options = parser.parse_args()
    with open(options.openapi, encoding="utf-8") as text:
        document = yaml.safe_load(text)
    contracts = {name: Contract(document, options.phase, name) for name in ("public", "admin")}
    counts, faults = {}, []
    for number, exchange in read_exchanges(options.exchanges):
        try:
            name = check(contracts[exchange.get("listener", "public")], exchange)
            counts[name] = counts.get(name, 0) + 1
        except Fault as fault:
            faults.append(f"line {number} ({exchange.get('test')}): {fault}")
    return report(counts, faults, options.phase)


if __name__ == "__main__":
    sys.exit(main())
