/* soak_faults.so - for tests/soak.mjs: loaded before libc (LD_PRELOAD), it makes system calls of non-blocking sockets fail as they
 * may, and moves the clock. What it does is read from the file SOAK_FAULTS, which the test writes while the program runs:
 *   int64 seconds that CLOCK_REALTIME is ahead; uint64 one call in so many fails, 0: none; uint64 seed
 * A call that fails does nothing; a short one does a part. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const volatile struct {
    int64_t ahead_s;
    uint64_t one_in, seed;
} *control;

static _Atomic uint64_t calls;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SOAK_FAULTS");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED) {
        fprintf(stderr, "soak_faults: no file SOAK_FAULTS\n");
        _exit(9);
    }
    control = at;
    (void)close(fd);
}

/* The next function of this name: libc's, or the sanitizer's. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A number for the n-th call, the same for the same seed: splitmix64 (Steele et al., OOPSLA 2014). */
static uint64_t dice(void)
{
    uint64_t z = control->seed + atomic_fetch_add(&calls, 1) * 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* Does this call of the socket fail? Then *chosen is a number to choose the way by. */
static int fails(int fd, uint64_t *chosen)
{
    uint64_t n = control->one_in, thrown;

    if (n == 0) {
        return 0;
    }
    thrown = dice();
    *chosen = thrown / n;
    return thrown % n == 0 && (fd < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
    uint64_t way;

    if (fails(fd, &way)) {
        if (way % 2 == 0) {
            return fail(EINTR);
        }
        len = len > 1 ? 1 + way / 2 % (len - 1) : len;
    }
    return NEXT(recv)(fd, to, len, flags);
}

/* What a program calls that is compiled with _FORTIFY_SOURCE. */
ssize_t __recv_chk(int fd, void *to, size_t len, size_t room, int flags);
ssize_t __recv_chk(int fd, void *to, size_t len, size_t room, int flags)
{
    if (len > room) {
        abort();
    }
    return recv(fd, to, len, flags);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
    uint64_t way;

    if (fails(fd, &way)) {
        if (way % 3 == 0) {
            return fail(EINTR);
        }
        if (way % 3 == 1) {
            return fail(EAGAIN);
        }
        len = len > 1 ? 1 + way / 3 % (len - 1) : len;
    }
    return NEXT(send)(fd, from, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr first = *message;
    uint64_t way;

    if (fails(fd, &way)) {
        if (way % 3 == 0) {
            return fail(EINTR);
        }
        if (way % 3 == 1) {
            return fail(ENOBUFS);
        }
        first.msg_iovlen = 1; /* a short write */
    }
    return NEXT(sendmsg)(fd, &first, flags);
}

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    static const int errors[] = {EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    uint64_t way;

    return fails(fd, &way) ? (int)fail(errors[way % 6]) : NEXT(accept4)(fd, from, len, flags);
}

int socket(int domain, int type, int protocol)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    uint64_t way;

    return fails(-1, &way) ? (int)fail(errors[way % 4]) : NEXT(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
    uint64_t way;

    return fails(-1, &way) ? (int)fail(way % 2 ? EMFILE : ENFILE) : NEXT(socketpair)(domain, type, protocol, pair);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = NEXT(clock_gettime)(clock, now);

    if (failed == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += control->ahead_s;
    }
    return failed;
}
