#!/bin/sh
# pod: a container engine in one file. This is a shell script, then a zip archive for Python 3.9 or later.
# Warm: a cache folder of this build, ours, that names a Python that is there. Cold: __main__.py in the archive makes one.
warm() {
    d=$1/pod/@BUILD@
    shift
    if [ -O "${d%/pod/*}/" ] && [ -O "$d/../" ] && [ -O "$d/python" ] && read -r p <"$d/python" && [ -x "$p" ]; then
        case $d in /*)
            h=$d/site/pod/ext/pod-helper
            case $1 in run|exec)
                [ -x "$h" ] && exec "$h" start "$p" "$d" "$0" "$@"
            esac
            exec "$p" -I -S "$d/_pod_run.py" "$0" "$@"
        esac
    fi
}
case ${0##*/} in pod-compose|docker-compose) set -- compose "$@" ;; esac # a link of that name
warm "${XDG_CACHE_HOME:-$HOME/.cache}" "$@"
warm "$XDG_RUNTIME_DIR" "$@"
# Everyone writes to /var/tmp. What is a folder of ours in one look, and shut, stays where it is: the folder is sticky.
if u=$(id -u) && ls -ldn "/var/tmp/pod-$u" 2>/dev/null | {
    read -r mode _ owner _ && [ "$owner" = "$u" ] && case $mode in drwx?-??-?*) ;; *) false ;; esac
}; then
    warm "/var/tmp/pod-$u" "$@"
fi
for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python; do
    if p=$(command -v "$p") && "$p" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
        exec "$p" -I -S -X no_debug_ranges "$0" "$@" # smaller code in the cache
    fi
done
echo 'pod: start: python3: no Python 3.9 or later in PATH' >&2
echo 'hint: install python3, or name one: /path/to/python3 pod.pyz ...' >&2
exit 125
