# Holds a computer of its own: an overlay of the files of `$2`, with processes, a network and a /dev of its own and cgroups of
# version `$3` alone. `$1` is a directory to mount on; the rest are directories that it has too, at their own places.
set -e
busybox ip link set lo up
mount -t tmpfs -o mode=755 gpupol-test "$1"
root=$1/root
mkdir "$1/upper" "$1/work" "$root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" gpupol-test "$root"
version=$3
shift 3
mkdir -p "$root/old"
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
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$root/dev/"; done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for shared; do
    mkdir -p "$root$shared"
    mount --rbind "$shared" "$root$shared"
done
cd "$root"
pivot_root . old
umount -l /old
cd /
