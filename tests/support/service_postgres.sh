#!/bin/sh
# postgres as its own user, its data below /srv/data, reached by a socket there.
set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
if [ ! -e /srv/data/db/PG_VERSION ]; then
    chown postgres:postgres /srv/data
    setpriv --reuid=postgres --regid=postgres --init-groups initdb --no-sync --auth=trust -D /srv/data/db
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D /srv/data/db -c listen_addresses= \
    -c unix_socket_directories=/srv/data
