/* crun before 1.21 gives up when it cannot raise RLIMIT_MEMLOCK before it loads its device program. Since Linux 5.11
 * such programs count against the cgroup's memory, so the raise is not needed: a refusal is reported as success. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_limit(int which, const void *limit) {
    int saved = errno;
    if (syscall(SYS_prlimit64, 0, which, limit, NULL) == 0)
        return 0;
    if (which != RLIMIT_MEMLOCK || errno != EPERM)
        return -1;
    errno = saved;
    return 0;
}

int setrlimit(__rlimit_resource_t which, const struct rlimit *limit) {
    return set_limit((int)which, limit);
}

int setrlimit64(__rlimit_resource_t which, const struct rlimit64 *limit) {
    return set_limit((int)which, limit);
}
