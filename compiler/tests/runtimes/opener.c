/* Asks its own loader for each library that it is given, and says which one answered. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **names) {
    for (int at = 1; at < count; at++) {
        void *library = dlopen(names[at], RTLD_NOW | RTLD_LOCAL);
        const char *(*made_by)(void) = 0;
        if (library)
            *(void **)&made_by = dlsym(library, "made_by");
        printf("%s|%s\n", names[at], made_by ? made_by() : dlerror());
    }
    puts("end");
    return 0;
}
