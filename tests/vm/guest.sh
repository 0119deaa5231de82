# In the machine, as root: each scenario is set up, tried by its users, and taken back. Lines "RESULT SCENARIO USER CHECK VALUE".
exec 2>&1
stty -F /dev/ttyS1 raw -echo
cp /mnt/pod.pyz /usr/local/bin/pod && chmod 755 /usr/local/bin/pod
echo "KERNEL $(uname -r)"
timeout 120 systemctl is-system-running --wait >/dev/null

# try SCENARIO USER session|bare
try() {
    words=
    [ "$3" = session ] && words="-p PAMName=login"
    # shellcheck disable=SC2086
    timeout 300 systemd-run --quiet --wait --pipe --uid="$2" $words -p WorkingDirectory="/home/$2" \
        -- /bin/sh /mnt/checks.sh "$1" </dev/null | sed "s/^CHECK /RESULT $1 $2 /"
}

# Before anything has asked for it: what uses it cannot be taken away.
echo 'install nf_tables /bin/false' >/etc/modprobe.d/no-nft.conf
lsmod | grep -q '^nf_tables' || try no-nft one bare
rm /etc/modprobe.d/no-nft.conf

try session one session
try session sub session
try bare one bare

# A group of version 2 that an administrator gave, without systemd (docs/hosts.md).
group=/sys/fs/cgroup/given
mkdir $group
echo '+cpu +cpuset +io +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
echo '+cpu +cpuset +io +memory +pids' >$group/cgroup.subtree_control
mkdir $group/rest
chown one $group $group/cgroup.procs $group/cgroup.subtree_control $group/rest $group/rest/cgroup.procs
sh -c "echo \$\$ >$group/rest/cgroup.procs; exec setpriv --reuid=one --regid=one --init-groups \
    env -i PATH=/usr/local/bin:/usr/bin:/bin timeout 300 /bin/sh /mnt/checks.sh given" </dev/null |
    sed 's/^CHECK /RESULT given one /'

mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' >/etc/systemd/system/user@.service.d/delegate.conf
systemctl daemon-reload
systemctl stop user@1000.service user@1001.service
try delegated one session

mount -o remount,hidepid=2 /proc
try hidepid one session
try hidepid sub session
mount -o remount,hidepid=0 /proc

sysctl -qw kernel.unprivileged_userns_clone=0
try no-userns one bare
sysctl -qw kernel.unprivileged_userns_clone=1
sysctl -qw user.max_user_namespaces=0
try max-userns one bare
sysctl -qw user.max_user_namespaces=10000

now=$(date +%s)
date -s @90000 >/dev/null
try clock-1970 one bare
date -s 2100-06-01 >/dev/null
try clock-2100 one bare
date -s @$((now + 60)) >/dev/null

mkdir /run/over && mount -t tmpfs over /run/over && mkdir /run/over/up /run/over/work
mount -t overlay over -o lowerdir=/home/one,upperdir=/run/over/up,workdir=/run/over/work /home/one
try home-overlay one bare
umount -l /home/one /run/over

find /sys/fs/cgroup -name 'pod-*' ! -name 'pod-vm.service' | sed 's/^/RESULT end root left /'
echo END
