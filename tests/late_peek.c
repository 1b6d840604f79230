/* late_peek.so - for tests/e2e/tls-late.native.test.mjs: loaded before libc (LD_PRELOAD), it lets a recv(MSG_PEEK) that finds nothing
 * return 100 ms later, so that bytes come before the program's next call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    static const struct timespec late = {0, 100000000};
    ssize_t (*real)(int, void *, size_t, int);
    ssize_t got;

    *(void **)&real = dlsym(RTLD_NEXT, "recv");
    got = real(fd, bytes, len, flags);
    if ((flags & MSG_PEEK) != 0 && got < 0 && errno == EAGAIN) {
        (void)nanosleep(&late, NULL);
        errno = EAGAIN;
    }
    return got;
}
