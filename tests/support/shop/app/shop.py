"""Counts visits in a database, and once more in a cache. As a program: makes the table that it wants."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable

import psycopg2
import redis


def secret(name: str) -> str:
    with open(f"/run/secrets/{name}", encoding="utf-8") as file:
        return file.read().strip()


def database():  # type: ignore[no-untyped-def]
    return psycopg2.connect(password=secret("db-password"), connect_timeout=10)


def visit() -> dict[str, object]:
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("insert into visits (host) values (%s) returning number", (socket.gethostname(),))
        (number,) = cursor.fetchone()
    connection.close()
    cache = redis.Redis(os.environ["REDIS_HOST"], password=secret("cache-password"))
    cached = cache.incr("visits")
    cache.close()
    return {"host": socket.gethostname(), "visits": number, "cached": cached, "release": os.environ["RELEASE"]}


def application(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
    answer: dict[str, object] = {} if environ["PATH_INFO"] == "/health" else visit()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def migrate() -> None:
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("create table if not exists visits (number serial primary key, host text)")
    connection.close()


if __name__ == "__main__":
    migrate()
