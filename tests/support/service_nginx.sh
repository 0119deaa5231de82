#!/bin/sh
# nginx in the foreground on the port that PORT names; its pages are in /srv/pages, its log goes to ours.
set -e
mkdir -p /srv/pages
[ -e /srv/pages/index.html ] || echo "hello from nginx" >/srv/pages/index.html
cat >/etc/nginx/nginx.conf <<END
user www-data;
daemon off;
error_log stderr;
events {}
http {
    access_log /dev/stdout;
    server { listen 127.0.0.1:$PORT; root /srv/pages; }
}
END
exec nginx
