/* names.c - a resolver of the test's own, to be preloaded: *.engine.test is what the
 * file $NAMES_FILE says, "SECONDS ADDRESS": it answers after so long. Without the
 * file, or without an address, there is no such name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **list)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    char address[64] = "";
    unsigned seconds = 0;
    FILE *f;

    memcpy(&real, &symbol, sizeof(real));
    if (node == NULL || strstr(node, "engine.test") == NULL) {
        return real(node, service, hints, list);
    }
    f = fopen(getenv("NAMES_FILE"), "r");
    if (f != NULL) {
        (void)!fscanf(f, "%u %63s", &seconds, address);
        (void)fclose(f);
    }
    while (seconds > 0) {
        seconds = sleep(seconds);
    }
    return address[0] == '\0' ? EAI_NONAME : real(address, service, hints, list);
}
