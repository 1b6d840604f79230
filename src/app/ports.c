/* ports.c - which program has a port. The main thread. */
#ifndef AD_APP_PORTS_C
#define AD_APP_PORTS_C

#include "config.c"
#include "options.c"

#ifndef AIDASH_NO_MAIN

#ifdef __linux__

/* The inode of the socket that listens on a port, 0 if none is found. See
 * proc(5): local_address is ADDR:PORT in hexadecimal, state 0A is listening. */
static unsigned long ad_port_inode(const char *table, unsigned port)
{
    unsigned long inode = 0, found;
    unsigned local, state;
    char line[512];
    FILE *f = fopen(table, "r");

    if (f == NULL) {
        return 0;
    }
    while (inode == 0 && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line,
                   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s "
                   "%*u %*u %lu",
                   &local, &state, &found) == 3 &&
            local == port && state == 0x0A) {
            inode = found;
        }
    }
    (void)fclose(f);
    return inode;
}

/* Does this process hold the socket? */
static bool ad_process_holds(const char *pid, const char *socket_name)
{
    char path[300], target[64];
    struct dirent *entry;
    bool holds = false;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    while (!holds && (entry = readdir(dir)) != NULL) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.200s", pid,
                       entry->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            holds = strcmp(target, socket_name) == 0;
        }
    }
    (void)closedir(dir);
    return holds;
}

/* The process that holds a socket, as its name in /proc. False if we may not see
 * it. */
static bool ad_socket_holder(unsigned long inode, char *pid, size_t cap)
{
    struct dirent *entry;
    char socket_name[64];
    bool found = false;
    DIR *dir = opendir("/proc");

    if (dir == NULL) {
        return false;
    }
    (void)snprintf(socket_name, sizeof(socket_name), "socket:[%lu]", inode);
    while (!found && (entry = readdir(dir)) != NULL) {
        if (ad_is_digit(entry->d_name[0]) &&
            ad_process_holds(entry->d_name, socket_name)) {
            (void)snprintf(pid, cap, "%.20s", entry->d_name);
            found = true;
        }
    }
    (void)closedir(dir);
    return found;
}

/* " by NAME (process PID)" of the program that has the port of [ADDR:]PORT, or
 * "" if we may not see it. */
static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    const char *colon = strrchr(spec, ':');
    const char *digits = colon != NULL ? colon + 1 : spec;
    char pid[24], path[64], name[64] = "";
    unsigned long inode;
    uint64_t port;
    FILE *f;

    out[0] = '\0';
    if (!ad_decimal_u64(digits, strlen(digits), 65535, &port)) {
        return;
    }
    inode = ad_port_inode("/proc/net/tcp", (unsigned)port);
    if (inode == 0) {
        inode = ad_port_inode("/proc/net/tcp6", (unsigned)port);
    }
    if (inode == 0 || !ad_socket_holder(inode, pid, sizeof(pid))) {
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    f = fopen(path, "r");
    if (f == NULL) {
        return;
    }
    if (fgets(name, sizeof(name), f) != NULL) {
        (void)snprintf(out, cap, " by %s (process %s)", ad_trim(name), pid);
    }
    (void)fclose(f);
}

#else

static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    (void)spec;
    (void)cap;
    out[0] = '\0';
}

#endif

static int ad_exit_code(int error)
{
    switch (error) {
    case AIDASH_EBIND:
        return AD_EXIT_BIND;
    case AIDASH_EINVAL:
        return AD_EXIT_USAGE;
    default:
        return AD_EXIT_FAILED;
    }
}

/* " (try --listen ADDR:PORT)" with a free port beside one that is taken, or "". */
static void ad_port_other(const char *spec, char *out, size_t cap)
{
    unsigned i, port;
    char other[128];

    out[0] = '\0';
    for (i = 8090; i < 8100; i++) {
        size_t host = ad_spec_host(spec);
        int fd;

        (void)snprintf(other, sizeof(other), "%.*s%s%u", (int)host, spec,
                       host > 0 ? ":" : "", i);
        fd = ad_socket_bind(other, SOCK_STREAM, &port);
        if (fd >= 0) {
            (void)close(fd);
            (void)snprintf(out, cap, "; try --listen %s", other);
            return;
        }
    }
}

/* Print aidash_last_error(). In the library it begins with the option's name;
 * here the option is shown as the user wrote it. */
static void ad_print_failure(const struct ad_options *o, int code)
{
    const char *why = aidash_last_error(), *written = "";
    size_t len = strcspn(why, ":");
    char name[32], holder[128] = "", other[160] = "";

    if ((code == AIDASH_EINVAL || code == AIDASH_ESYS) && len < sizeof(name)) {
        int i;

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, why);
        i = ad_option_find(name);
        if (i >= 0 && o->given[i].set) {
            written = o->given[i].written;
            why += len;
        }
    }
    if (code == AIDASH_EBIND && ad_acceptor.n_listeners < ad_acceptor.n_listen) {
        const char *spec = ad_acceptor.listen[ad_acceptor.n_listeners];

        ad_port_holder(spec, holder, sizeof(holder));
        ad_port_other(spec, other, sizeof(other));
    }
    (void)fprintf(stderr, "aidash: %s%s%s%s\n", written, why, holder,
                  other);
}

#endif /* AIDASH_NO_MAIN */

#endif
