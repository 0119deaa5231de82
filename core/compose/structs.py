"""The members of a canonical document, in Docker's order: tables for pod.core.compose.encoding.

A kind is the name of one of its methods. ``X`` in front of a name marks a nested table: ``struct:X`` stands always,
``pointer:X`` where the document has it, ``list:X`` and ``map:X`` hold several.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Table = tuple[tuple[str, str], ...]


def _table(text: str) -> Table:
    """``key kind`` of each line; several keys of one kind by commas."""
    rows = []
    for line in text.split("\n"):
        keys, _, kind = line.strip().rpartition(" ")
        rows += [(key, kind) for key in keys.replace(" ", "").split(",") if key]
    return tuple(rows)


SERVICE = _table("""
    profiles strings
    annotations mapping
    attach truth_given
    build pointer:build
    develop pointer:develop
    blkio_config pointer:blkio
    cap_add, cap_drop strings
    cgroup_parent, cgroup text
    cpu_count integer
    cpu_percent narrow
    cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime integer
    cpus narrow
    cpuset text
    cpu_shares integer
    command command
    configs list:file_reference
    container_name text
    credential_spec pointer:credential_spec
    depends_on map:dependency
    deploy pointer:deploy
    device_cgroup_rules strings
    devices list:device
    dns, dns_opt, dns_search strings
    domainname text
    entrypoint command
    environment variables
    env_file env_files
    expose strings
    extends pointer:extends
    external_links strings
    extra_hosts hosts
    group_add strings
    gpus list:device_request
    hostname text
    healthcheck pointer:healthcheck
    image text
    init truth_given
    ipc, isolation text
    labels labels
    label_file strings
    links strings
    logging pointer:logging
    mem_limit, mem_reservation, memswap_limit, mem_swappiness size
    mac_address, network_mode text
    networks map:service_network
    oom_kill_disable truth
    oom_score_adj integer
    pid text
    pids_limit integer
    platform text
    ports list:port
    privileged truth
    pull_policy text
    read_only truth
    restart, runtime text
    scale integer_given
    secrets list:file_reference
    security_opt strings
    shm_size size
    stdin_open truth
    stop_grace_period duration_given
    stop_signal text
    storage_opt mapping
    sysctls mapping
    tmpfs strings
    tty truth
    ulimits ulimits
    user, userns_mode, uts text
    volumes list:mount
    volumes_from strings
    working_dir text
    post_start, pre_stop list:hook
""")

TABLES = {
    "service": SERVICE,
    "build": _table("""
        context, dockerfile, dockerfile_inline text
        entitlements strings
        args variables
        ssh ssh
        labels labels
        cache_from, cache_to strings
        no_cache truth
        additional_contexts mapping
        pull truth
        extra_hosts hosts
        isolation, network, target text
        secrets list:file_reference
        shm_size size
        tags strings
        ulimits ulimits
        platforms strings
        privileged truth
    """),
    "develop": _table("watch list:trigger"),
    "trigger": _table("""
        path, action text_always
        target text
        exec struct:hook
        ignore strings
    """),
    "hook": _table("""
        command command
        user text
        privileged truth
        working_dir text
        environment variables
    """),
    "blkio": _table("""
        weight integer
        weight_device list:weight
        device_read_bps, device_read_iops, device_write_bps, device_write_iops list:rate
    """),
    "weight": _table("path text_always\n weight integer_always"),
    "rate": _table("path text_always\n rate size_always"),
    "file_reference": _table("source, target, uid, gid text\n mode integer_given"),
    "credential_spec": _table("config, file, registry text"),
    "dependency": _table("condition text\n restart truth\n required truth_always"),
    "extends": _table("file, service text"),
    "device": _table("source, target, permissions text"),
    "device_request": _table("""
        capabilities strings
        driver text
        count device_count
        device_ids strings
        options mapping
    """),
    "healthcheck": _table("""
        test test
        timeout, interval duration_given
        retries integer_given
        start_period, start_interval duration_given
        disable truth
    """),
    "logging": _table("driver text\n options mapping"),
    "deploy": _table("""
        mode text
        replicas integer_given
        labels labels
        update_config, rollback_config pointer:update
        resources struct:resources
        restart_policy pointer:restart_policy
        placement struct:placement
        endpoint_mode text
    """),
    "update": _table("""
        parallelism integer_given
        delay duration
        failure_action text
        monitor duration
        max_failure_ratio narrow
        order text
    """),
    "resources": _table("limits, reservations pointer:resource"),
    "resource": _table("""
        cpus narrow
        memory size
        pids integer
        devices list:device_request
        generic_resources list:generic_resource
    """),
    "generic_resource": _table("discrete_resource_spec pointer:discrete"),
    "discrete": _table("kind text_always\n value integer_always"),
    "restart_policy": _table("""
        condition text
        delay duration_given
        max_attempts integer_given
        window duration_given
    """),
    "placement": _table("constraints strings\n preferences list:preference\n max_replicas_per_node integer"),
    "preference": _table("spread text"),
    "service_network": _table("""
        priority, gw_priority integer
        aliases strings
        ipv4_address, ipv6_address text
        link_local_ips strings
        mac_address text
        driver_opts mapping
    """),
    "port": _table("name, mode, host_ip text\n target integer\n published, protocol, app_protocol text"),
    "mount": _table("""
        type, source, target text
        read_only truth
        consistency text
        bind pointer:bind
        volume pointer:named
        tmpfs pointer:tmpfs
    """),
    "bind": _table("selinux, propagation text\n create_host_path truth\n recursive text"),
    "named": _table("nocopy truth\n subpath text"),
    "tmpfs": _table("size size\n mode integer"),
    "network": _table("""
        name, driver text
        driver_opts mapping
        ipam struct:ipam
        external, internal, attachable truth
        labels labels
        enable_ipv4, enable_ipv6 truth_given
    """),
    "ipam": _table("driver text\n config list:pool"),
    "pool": _table("subnet, gateway, ip_range text\n aux_addresses mapping"),
    "volume": _table("name, driver text\n driver_opts mapping\n external truth\n labels labels"),
    "file_object": _table("""
        name, file, environment, content text
        external truth
        labels labels
        driver text
        driver_opts mapping
        template_driver text
    """),
}

CAPITALS = {"weight": "Weight", "path": "Path", "rate": "Rate"}
"""Docker's JSON has these members of blkio_config in capitals."""
