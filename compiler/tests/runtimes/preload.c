/* Leaves a trace where any program loads it. */
#include <fcntl.h>

__attribute__((constructor)) static void loaded(void) {
    open(TRACE, O_WRONLY | O_CREAT, 0644);
}
