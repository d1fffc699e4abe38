# For a computer or a machine of its own: an overlay of the files of `$2` at `$root`, and what it shares. `$1` is a directory to mount on, `$3` the
# `$version` of its cgroups; the rest are directories that it has too, at their own places.
set -e
mount -t tmpfs -o mode=755 gpupol-test "$1"
root=$1/root
mkdir "$1/upper" "$1/work" "$root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" gpupol-test "$root"
version=$3
shift 3
mkdir -p "$root/old"

# Its `/dev`, which is mounted, and what it shares.
fill() {
    for node in null zero full random urandom tty; do cp -a "/dev/$node" "$root/dev/"; done
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for shared; do
        mkdir -p "$root$shared"
        mount --rbind "$shared" "$root$shared"
    done
}
