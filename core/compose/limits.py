"""Limits of a service's resources as flags of ``create``: pure. deploy.resources goes before the old keys."""

from __future__ import annotations

from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Service = Mapping[str, Any]

_KEYS = {
    "mem_limit": "memory", "mem_reservation": "memory-reservation", "memswap_limit": "memory-swap",
    "mem_swappiness": "memory-swappiness", "cpus": "cpus", "cpu_shares": "cpu-shares", "cpu_period": "cpu-period",
    "cpu_quota": "cpu-quota", "cpu_rt_period": "cpu-rt-period", "cpu_rt_runtime": "cpu-rt-runtime",
    "cpu_count": "cpu-count", "cpu_percent": "cpu-percent", "cpuset": "cpuset-cpus", "pids_limit": "pids-limit",
    "oom_score_adj": "oom-score-adj", "shm_size": "shm-size",
}  # fmt: skip
_RATES = ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")


def words(service: Service) -> list[str]:
    """``--memory=…`` and its like; of what the service has no limit for, nothing."""
    values = {flag: _text(service[key]) for key, flag in _KEYS.items() if service.get(key) not in (None, "", 0, "0")}
    deploy = (service.get("deploy") or {}).get("resources") or {}
    limits, reserved = deploy.get("limits") or {}, deploy.get("reservations") or {}
    for key, flag in (("memory", "memory"), ("cpus", "cpus"), ("pids", "pids-limit")):
        if limits.get(key):
            values[flag] = _text(limits[key])
    if reserved.get("memory"):
        values["memory-reservation"] = _text(reserved["memory"])
    found = [f"--{flag}={value}" for flag, value in values.items()]
    found += ["--oom-kill-disable"] if service.get("oom_kill_disable") else []
    found += _ulimits(service) + _block_io(service.get("blkio_config") or {})
    found += _storage(service)
    return found + _gpus(service, reserved)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ulimits(service: Service) -> list[str]:
    found = []
    for name, value in (service.get("ulimits") or {}).items():
        if isinstance(value, dict):
            soft = value.get("soft", value.get("single", 0))
            found.append(f"--ulimit={name}={soft}:{value.get('hard', soft)}")
        else:
            found.append(f"--ulimit={name}={value}")
    return found


def _block_io(asked: Mapping[str, Any]) -> list[str]:
    found = [f"--blkio-weight={asked['weight']}"] if asked.get("weight") else []
    found += [f"--blkio-weight-device={one['path']}:{one['weight']}" for one in asked.get("weight_device") or []]
    for key in _RATES:
        flag = key.replace("_", "-")
        found += [f"--{flag}={one['path']}:{one['rate']}" for one in asked.get(key) or []]
    return found


def _storage(service: Service) -> list[str]:
    return [f"--storage-opt={name}={value}" for name, value in (service.get("storage_opt") or {}).items()]


def _gpus(service: Service, reserved: Mapping[str, Any]) -> list[str]:
    """Device requests: those of GPUs are --gpus; others have no flag."""
    asked = service.get("gpus") or []
    requests: list[Mapping[str, Any]] = [{"count": -1}] if asked == "all" else list(asked)
    for one in reserved.get("devices") or []:
        if "gpu" not in (one.get("capabilities") or []):
            raise UsageError(
                f"deploy.resources.reservations.devices: {one.get('capabilities')}: only gpu is known",
                hint="'devices' gives a container a device by its path",
            )
        requests.append(one)
    found = []
    for one in requests:
        ids, count = one.get("device_ids"), one.get("count", -1)
        text = "device=" + ",".join(ids) if ids else "all" if count in (-1, "all") else str(count)
        found.append(f'--gpus="{text}"' if ids and len(ids) > 1 else f"--gpus={text}")
    return found
