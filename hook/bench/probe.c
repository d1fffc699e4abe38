/* What the hook's calls cost when nothing else is done: the kernel's share of applying a plan.
 *
 * probe PID ROOTFS DEVICES_ALLOW SITE MOUNTS MAJOR:MINOR...
 *
 * Binds MOUNTS files SITE/libraries/libNN.so read-only to /usr/lib64/libNN.so in the mount namespace of PID, makes a node
 * /dev/nodeMAJOR:MINOR for each number, and writes the device rules. Prints the nanoseconds from before the first
 * call to after the last. Without arguments it does nothing: that is what starting a static program costs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MOUNTS = 256 };

static int checked(long result, const char *call) {
    if (result < 0) {
        fprintf(stderr, "probe: %s: %s\n", call, strerror(errno));
        exit(1);
    }
    return (int)result;
}

static long in_root(int root, const char *path, uint64_t flags) {
    struct open_how how = {
        .flags = flags | O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    return syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* Type and mount of an open file: what a hook must know before it mounts on it. */
static void look(int file) {
    struct statx is;
    checked(syscall(SYS_statx, file, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &is), "statx");
}

/* Reads a file of /proc to its end, as the hook must before it can tell which mounts are the container's own. */
static void read_of(const char *process, const char *name) {
    static char text[1 << 16];
    snprintf(text, sizeof text, "/proc/%s/%s", process, name);
    int file = checked(open(text, O_RDONLY | O_CLOEXEC), name);
    while (checked(read(file, text, sizeof text), name) > 0)
        ;
    close(file);
}

/* The target of a mount, made if it is missing. */
static int target(int root, const char *directory, const char *name) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = (int)in_root(root, path, 0);
    if (file < 0 && errno == ENOENT) {
        int parent = checked(in_root(root, directory, O_DIRECTORY), directory);
        look(parent);
        file = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
        close(parent);
    }
    look(checked(file, path));
    return file;
}

static int detached(const char *source) {
    int file = checked(open(source, O_PATH | O_NOFOLLOW | O_CLOEXEC), source);
    look(file);
    int tree = checked(syscall(SYS_open_tree, file, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
                       "open_tree");
    struct mount_attr wanted = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        .propagation = 1 << 18, /* MS_PRIVATE */
    };
    checked(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &wanted, sizeof wanted), "mount_setattr");
    close(file);
    return tree;
}

static void apply(char **argv, int numbers, char **number) {
    static int trees[MOST_MOUNTS];
    char path[4096];
    int mounts = atoi(argv[5]);
    if (mounts > MOST_MOUNTS)
        exit(2);
    read_of(argv[1], "mountinfo");
    snprintf(path, sizeof path, "/proc/%s/ns/mnt", argv[1]);
    int namespace = checked(open(path, O_RDONLY | O_CLOEXEC), path);
    for (int i = 0; i < mounts; i++) {
        snprintf(path, sizeof path, "%s/libraries/lib%02d.so", argv[4], i);
        trees[i] = detached(path);
    }
    int allow = checked(open(argv[3], O_WRONLY | O_CLOEXEC), argv[3]);
    checked(setns(namespace, CLONE_NEWNS), "setns");
    int root = checked(open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC), argv[2]);
    umask(0);
    int dev = checked(in_root(root, "/dev", O_DIRECTORY), "/dev");
    look(root);
    look(dev);
    for (int i = 0; i < numbers; i++) {
        unsigned major = 0, minor = 0;
        struct stat is;
        sscanf(number[i], "%u:%u", &major, &minor);
        snprintf(path, sizeof path, "node%u:%u", major, minor);
        if (fstatat(dev, path, &is, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        checked(mknodat(dev, path, S_IFCHR | 0666, makedev(major, minor)), "mknodat");
    }
    for (int i = 0; i < mounts; i++) {
        snprintf(path, sizeof path, "lib%02d.so", i);
        int file = target(root, "/usr/lib64", path);
        checked(syscall(SYS_move_mount, trees[i], "", file, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
                "move_mount");
        close(file);
        close(trees[i]);
    }
    for (int i = 0; i < numbers; i++) {
        int length = snprintf(path, sizeof path, "c %s rw", number[i]);
        checked(pwrite(allow, path, (size_t)length, 0), "devices.allow");
    }
}

int main(int argc, char **argv) {
    struct timespec from, to;
    if (argc < 6)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    apply(argv, argc - 6, argv + 6);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld\n", (long long)(to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
    return 0;
}
