# Holds a computer of its own: an overlay of the files of `$2`, with processes, a network and a /dev of its own and cgroups of
# version `$3` alone. `$1` is a directory to mount on; the rest are directories that it has too, at their own places.
busybox ip link set lo up
for at in run tmp var/tmp var/log dev etc/docker etc/containerd etc/cni etc/gpupol usr/local; do
    mkdir -p "$root/$at"
    mount -t tmpfs -o mode=755 gpupol-test "$root/$at"
done
mkdir -p "$root/usr/local/sbin" "$root/run/lock"
chmod 1777 "$root/tmp" "$root/var/tmp"
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 gpupol-test "$root/proc/driver"
# Docker warns otherwise, though it is told to leave networks alone.
echo 1 >"$root/proc/sys/net/ipv4/ip_forward"
mount -t sysfs sysfs "$root/sys"
if [ "$version" = V2 ]; then
    mount -t cgroup2 none "$root/sys/fs/cgroup"
else
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    if mountpoint -q "$root/sys/fs/cgroup/unified"; then umount "$root/sys/fs/cgroup/unified"; fi
    mountpoint -q "$root/sys/fs/cgroup/devices" || { echo 'this host does not mount the cgroup v1 devices controller'; exit 1; }
fi
fill "$@"
cd "$root"
pivot_root . old
umount -l /old
cd /
