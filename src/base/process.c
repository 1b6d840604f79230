/* process.c - what the system says of this process. Any thread; /proc does not block.
 * Owns nothing.
 */
#ifndef AD_BASE_PROCESS_C
#define AD_BASE_PROCESS_C

#include "decimal.c"

#if AIDASH_METRICS

/* The numbers; those below 0 are not known. */
struct ad_process {
    double cpu_s;          /* user and system */
    double resident_bytes; /* memory */
    double open_fds, max_fds;
};

static double ad_process_seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

#ifdef __linux__

/* Second number of /proc/self/statm, in pages (proc(5)). */
static double ad_process_resident(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    const char *at;
    uint64_t pages;
    size_t len;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (n <= 0) {
        return -1;
    }
    text[n] = '\0';
    at = strchr(text, ' ');
    len = at != NULL ? strspn(at + 1, "0123456789") : 0;
    if (at == NULL || !ad_decimal_u64(at + 1, len, UINT32_MAX, &pages)) {
        return -1;
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* How many files are open. Linux 6.2 has the number as the size of /proc/self/fd; an
 * older one has the names, which are counted, up to 4096: more would take too long. */
static double ad_process_fds(void)
{
    enum { HEAD = 19, LEN_AT = 16, MOST = 4096 }; /* struct linux_dirent64, getdents(2) */
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _Alignas(8) char names[1024];
    struct stat st;
    double count = -1;
    long n;

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        count = (double)st.st_size - 1; /* without this one */
    } else {
        count = -3; /* . and .. and this one */
        while ((n = syscall(SYS_getdents64, fd, names, sizeof(names))) > 0) {
            long at = 0;
            uint16_t len;

            for (; at + HEAD < n; at += len) {
                memcpy(&len, names + at + LEN_AT, sizeof(len));
                count++;
            }
            if (count > MOST) {
                n = -1;
                break;
            }
        }
        count = n == 0 ? count : -1;
    }
    (void)close(fd);
    return count;
}

#endif

static void ad_process_read(struct ad_process *p)
{
    struct rusage usage;
    struct rlimit files;

    p->cpu_s = getrusage(RUSAGE_SELF, &usage) == 0
                   ? ad_process_seconds(&usage.ru_utime) +
                         ad_process_seconds(&usage.ru_stime)
                   : -1;
    p->max_fds = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY
                     ? (double)files.rlim_cur
                     : -1;
#ifdef __linux__
    p->resident_bytes = ad_process_resident();
    p->open_fds = ad_process_fds();
#else
    p->resident_bytes = p->open_fds = -1;
#endif
}

#endif /* AIDASH_METRICS */

#endif
