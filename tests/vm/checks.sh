# In the machine, as a user: what pod makes of this host. Lines "CHECK NAME VALUE".
HOME=/home/$(id -un)
export HOME
cd "$HOME" || exit 1
say() { echo "CHECK $1 $2"; }

out=$(pod run --rm --network none pod.local/busybox echo started 2>err)
code=$?
say start "$code $out"
[ $code = 0 ] || { say cause "$(head -1 err)"; exit 0; }
case $1 in
clock-* | home-*)
    name=$(pod run -d --network none --health-cmd true --health-interval 1s pod.local/busybox sleep 1000)
    sleep 6
    say health "$(pod inspect -f '{{.State.Health.Status}}' "$name")"
    pod restart -t 0 "$name" >/dev/null 2>&1
    say life "$(pod ps -q | wc -l) $(pod rm -f "$name" >/dev/null 2>&1; pod ps -aq | wc -l)"
    printf 'FROM pod.local/busybox\nRUN echo made >/made\n' >Dockerfile
    pod build -q -t made . >/dev/null 2>&1
    say build "$(pod run --rm --network none made cat /made 2>&1 | head -1)"
    pod rmi -f made >/dev/null 2>&1
    exit 0
    ;;
esac
[ "$1" = hidepid ] || pod doctor 2>/dev/null | sed -n 's/^\(ok\|--\|NO\)  *\(overlay\|networks\|cgroups\|root emulation\|ids\)  */CHECK doctor-\2 \1 /p'
say overlay "$(pod info -f '{{.Driver}}')"
pod run --rm pod.local/busybox sh -c 'ip addr show | grep -c "inet "' >net 2>neterr
say network "$? $(cat net) $(head -1 neterr)"

pod run --name hog --network none -m 40m pod.local/busybox dd if=/dev/zero of=/dev/null bs=200M count=1 >/dev/null 2>&1
say memory "$? $(pod inspect -f '{{.State.OOMKilled}}' hog)"
name=$(pod run -d --network none -m 40m --cpus 0.5 --pids-limit 30 pod.local/busybox sh -c 'while :; do :; done' 2>warn)
say warnings "$(grep -c WARNING warn)"
say enforced "$(pod inspect -f '{{json .HostConfig.EnforcedBy}}' "$name")"
pid=$(pod inspect -f '{{.State.Pid}}' "$name")
# Without a process: starting one takes long where the processor is emulated. Hundredths of a second, both.
used() {
    read -r line <"/proc/$pid/stat"
    # shellcheck disable=SC2086
    set -- ${line##*) }
    echo $((${12} + ${13}))
}
clock() {
    read -r up _ </proc/uptime
    echo "${up%.*}${up#*.}"
}
case $1 in
given | delegated)
    # 4 MB at 1 MB in a second, to the disk and not only into memory, in milliseconds; the container takes the time, for
    # starts are slow where the processor is emulated. A new file each time: the kernel writes the pages of one on account
    # of the group that made it.
    written() {
        rm -f "$HOME/written"
        pod run --rm --network none "$@" -v "$HOME:/io" pod.local/busybox sh -c \
            'read -r from _ </proc/uptime
            dd if=/dev/zero of=/io/written bs=1M count=4 conv=fsync 2>/dev/null
            read -r to _ </proc/uptime
            echo "${from%.*}${from#*.} ${to%.*}${to#*.}"' | {
            read -r from to
            echo $(((to - from) * 10))
        }
    }
    say io "$(written --device-write-bps /dev/vda:1mb) $(written)"
    rm -f "$HOME/written"
    ;;
esac
case $1-$(id -un) in
session-one | bare-one | given-one) ;;
*)
    pod rm -f "$name" hog >/dev/null 2>&1
    exit 0
    ;;
esac
before=$(used) begin=$(clock)
sleep 4
after=$(used) end=$(clock)
say processor "$(((after - before) * 100 / (end - begin)))%"
say exec "$(pod exec "$name" echo in 2>&1)"
say forks "$(pod run --rm --network none --pids-limit 15 pod.local/busybox sh -c \
    'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; ls /proc | grep -c "^[0-9]"' 2>&1 | tail -1)"
say update "$(pod update --cpus 0.2 "$name" 2>&1 | head -1 | cut -c1-60)"
say pause "$(pod pause "$name" >/dev/null 2>&1 && pod unpause "$name" >/dev/null 2>&1; echo $?)"
pod rm -f "$name" hog >/dev/null 2>&1
say containers "$(pod ps -aq | wc -l)"
