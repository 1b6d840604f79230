/* ports.c - which program has a port. The main thread. */
#ifndef AD_APP_PORTS_C
#define AD_APP_PORTS_C

#include "../codec/utf8.c"
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

    while (f != NULL && inode == 0 && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line,
                   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s "
                   "%*u %*u %lu",
                   &local, &state, &found) == 3 &&
            local == port && state == 0x0A) {
            inode = found;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
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
    while (dir != NULL && !holds && (entry = readdir(dir)) != NULL) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.200s", pid,
                       entry->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        holds = strcmp(target, socket_name) == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return holds;
}

/* " by NAME (process PID)" of the program that has the port of [ADDR:]PORT, or
 * "" if we may not see it. */
static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    const char *colon = strrchr(spec, ':');
    unsigned port = (unsigned)strtoul(colon != NULL ? colon + 1 : spec, NULL,
                                      10);
    unsigned long inode = ad_port_inode("/proc/net/tcp", port);
    char socket_name[64], path[300], name[64] = "";
    struct dirent *entry;
    DIR *dir = opendir("/proc");

    out[0] = '\0';
    inode = inode != 0 ? inode : ad_port_inode("/proc/net/tcp6", port);
    (void)snprintf(socket_name, sizeof(socket_name), "socket:[%lu]", inode);
    while (dir != NULL && inode != 0 && (entry = readdir(dir)) != NULL) {
        FILE *f;

        if (!ad_is_digit(entry->d_name[0]) ||
            !ad_process_holds(entry->d_name, socket_name)) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/%.200s/comm", entry->d_name);
        f = fopen(path, "r");
        if (f != NULL && fgets(name, sizeof(name), f) != NULL) {
            (void)snprintf(out, cap, " by %s (process %.20s)", ad_trim(name),
                           entry->d_name);
        }
        if (f != NULL) {
            (void)fclose(f);
        }
        break;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

#else

static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    (void)spec;
    (void)cap;
    out[0] = '\0';
}

#endif

/* What is wrong with an option begins with the option's name in the library;
 * here it is shown as the user wrote it. */
static void ad_print_failure(int code)
{
    const char *why = aidash_last_error();
    size_t len = strcspn(why, ":");
    char name[32], holder[128] = "";
    int i = -1;

    if (code == AIDASH_EINVAL && len < sizeof(name)) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, why);
        i = ad_option_find(name);
    }
    if (code == AIDASH_EBIND && ad_acceptor.n_listeners < ad_acceptor.n_listen) {
        ad_port_holder(ad_acceptor.listen[ad_acceptor.n_listeners], holder,
                       sizeof(holder));
    }
    (void)fprintf(stderr, "aidash: %s%s%s\n",
                  i >= 0 && ad_given[i].set ? ad_given[i].name : "",
                  i >= 0 && ad_given[i].set ? why + len : why, holder);
}

#endif /* AIDASH_NO_MAIN */

#endif
