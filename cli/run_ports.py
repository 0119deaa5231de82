"""-p in all its forms, as HostConfig.PortBindings. UsageError in Docker's words.

    80  80/udp  8080:80  8000-8010:80  8000-8010:9000-9010  127.0.0.1:8080:80  127.0.0.1::80  [::1]:8080:80
    published=8080,target=80,protocol=tcp

Source: docker/go-connections nat (ParsePortSpec), docker/cli cli/command/container/opts.go (behaviour and messages).
"""

from __future__ import annotations

from pod.core.errors import UsageError

MOST = 1000
"""Published ports of one container; each is a socket of the network process."""


def published(given: list[str]) -> dict[str, list[dict[str, str]]]:
    """{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}; HostPort "": any, "8000-8010": the first that is free."""
    found: dict[str, list[dict[str, str]]] = {}
    count = 0
    for text in given:
        for port, binding in _one(_standard(text) if "=" in text else text):
            count += 1
            if count > MOST:
                raise UsageError(f"too many published ports: at most {MOST}", hint="--network host publishes all")
            found.setdefault(port, []).append(binding)
    return found


def _standard(text: str) -> str:
    """The long form as the short one."""
    fields = {"protocol": "tcp"}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"invalid publish opts format (should be name=value but got '{part}')")
        if name == "host_ip":
            value = value.strip("[]")
        if name not in ("published", "target", "protocol", "mode", "host_ip", "name", "app_protocol"):
            raise UsageError(f"invalid publish opts: unknown field '{name}'")
        fields[name] = value
    head = f"[{fields['host_ip']}]:" if ":" in fields.get("host_ip", "") else fields.get("host_ip", "")
    head += ":" if head and not head.endswith(":") else ""
    return f"{head}{fields.get('published', '')}:{fields.get('target', '')}/{fields['protocol']}"


def _one(text: str) -> list[tuple[str, dict[str, str]]]:
    head, _, target = text.rpartition(":")
    address, _, host = head.rpartition(":")
    target, _, protocol = target.partition("/")
    protocol = protocol.lower() or "tcp"
    if not target:
        raise UsageError(f"no port specified: {text}<empty>")
    if protocol not in ("tcp", "udp", "sctp"):
        raise UsageError(f"invalid proto: {protocol}")
    if protocol == "sctp":
        raise UsageError(
            f"publish {text}: SCTP cannot be published",
            hint="TCP and UDP can; between containers SCTP works where the host has it",
        )
    address = _address(address)
    first, last = _range(target, f"invalid containerPort: {target}")
    if not first:
        raise UsageError(f"invalid containerPort: {target}")
    low, high = _range(host, f"invalid hostPort: {host}") if host else (0, 0)
    if host and high - low != last - first and first != last:
        raise UsageError(f"invalid ranges specified for container and host Ports: {target} and {host}")
    if first == last:
        public = f"{low}-{high}" if low != high else str(low) if low else ""
        return [(f"{first}/{protocol}", {"HostIp": address, "HostPort": public})]
    return [
        (f"{first + step}/{protocol}", {"HostIp": address, "HostPort": str(low + step) if low else ""})
        for step in range(last - first + 1)
    ]


def _address(text: str) -> str:
    if not text:
        return ""
    import ipaddress

    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise UsageError(f"invalid IP address: {text}", hint="the form is IP:HOSTPORT:PORT") from None


def _range(text: str, words: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(one.isascii() and one.isdigit() and len(one) < 7 and int(one) < 65536 for one in numbers):
        raise UsageError(words)
    low, high = map(int, numbers)
    if low > high:
        raise UsageError(words)
    return low, high
