/* tree.c - the files of a board, below a root: of the system itself, or of a tree
 * that was copied from another board. Owns nothing: who reads has a struct ad_tree.
 *
 * A copied tree is not trusted: a path that leads out of it, through a link or "..",
 * and what is no ordinary file, is not there. Nothing here allocates. Reading may
 * block for a while, behind a slow bus; so only the board's thread reads.
 */
#ifndef AD_BOARD_TREE_C
#define AD_BOARD_TREE_C

#include "../base/clock.c"
#include "parse.c"

#if AIDASH_BOARD

enum {
    AD_TREE_PATH = 128,   /* bytes of a path below the root with its NUL */
    AD_TREE_ROOT = 256,   /* and of the root's */
    AD_TREE_NAME = 64,    /* of a name in a directory that is looked at */
    AD_SENSORS = 160,     /* files that stay open */
    AD_SENSOR_TEXT = 256, /* bytes read of one */
    AD_SLOW_MS = 200      /* a file that takes longer is read less often: */
};
#define AD_SLOW_NS (10 * AD_NS_PER_S)

/* A file that stays open. Number 0 of a tree is no file. */
struct ad_sensor {
    int fd;                /* -1: it could not be opened, and `last` says why */
    struct ad_value last;  /* what it said */
    uint64_t hold_ns;      /* until then it is not read again: it was slow */
};

struct ad_tree {
    char root[AD_TREE_ROOT]; /* "": the system's; else an absolute path without links */
    unsigned n;              /* sensors in use, number 0 included */
    unsigned n_lost;         /* that could be read before and can't any more */
    struct ad_sensor sensors[AD_SENSORS];
};

/* The root at `path`; NULL or "": the system's own. False, with errno, if it is not
 * a directory. */
static bool ad_tree_open(struct ad_tree *tree, const char *path)
{
    char real[PATH_MAX];
    struct stat found;

    memset(tree, 0, sizeof(*tree));
    tree->n = 1;
    if (path == NULL || path[0] == '\0') {
        return true;
    }
    if (realpath(path, real) == NULL || stat(real, &found) != 0) {
        return false;
    }
    if (!S_ISDIR(found.st_mode) || strlen(real) >= sizeof(tree->root)) {
        errno = S_ISDIR(found.st_mode) ? ENAMETOOLONG : ENOTDIR;
        return false;
    }
    if (strcmp(real, "/") != 0) {
        memcpy(tree->root, real, strlen(real) + 1);
    }
    return true;
}

static bool ad_tree_is_copy(const struct ad_tree *tree)
{
    return tree->root[0] != '\0';
}

/* Open a file or, with O_DIRECTORY, a directory. Returns -1 with errno. */
static int ad_tree_file(const struct ad_tree *tree, const char *path, int flags)
{
    char full[AD_TREE_ROOT + AD_TREE_PATH], real[PATH_MAX];
    size_t n = strlen(tree->root);
    struct stat found;
    int fd;

    (void)snprintf(full, sizeof(full), "%s%s", tree->root, path);
    if (ad_tree_is_copy(tree)) {
        if (realpath(full, real) == NULL) {
            return -1;
        }
        if (strncmp(real, tree->root, n) != 0 || real[n] != '/') {
            errno = ENOENT; /* it leads out of the tree */
            return -1;
        }
    }
    fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd >= 0 && (flags & O_DIRECTORY) == 0 &&
        (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))) {
        (void)close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

/* Read a file from its beginning into out[cap]. Returns its bytes, or -1 with
 * errno. */
static ssize_t ad_tree_read_fd(int fd, char *out, size_t cap)
{
    ssize_t n, sum = 0;

    do {
        n = pread(fd, out + sum, cap - (size_t)sum, sum);
        sum += n > 0 ? n : 0;
    } while ((n > 0 && (size_t)sum < cap) || (n < 0 && errno == EINTR));
    return n < 0 && sum == 0 ? -1 : sum;
}

/* Read a file that is read once. */
static ssize_t ad_tree_read(const struct ad_tree *tree, const char *path, char *out,
                            size_t cap)
{
    int fd = ad_tree_file(tree, path, 0), error;
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    n = ad_tree_read_fd(fd, out, cap);
    error = errno;
    (void)close(fd);
    errno = error;
    return n;
}

static struct ad_value ad_tree_number(const struct ad_tree *tree, const char *path)
{
    char text[AD_SENSOR_TEXT];
    ssize_t n = ad_tree_read(tree, path, text, sizeof(text));

    return n < 0 ? ad_value_error(errno) : ad_parse_number(text, (size_t)n);
}

/* The first line of a file as a name; "" if there is none. */
static void ad_tree_name(const struct ad_tree *tree, const char *path, char *out,
                         size_t cap)
{
    char text[AD_SENSOR_TEXT];
    ssize_t n = ad_tree_read(tree, path, text, sizeof(text));

    ad_parse_name(text, n > 0 ? (size_t)n : 0, out, cap);
}

static bool ad_tree_has(const struct ad_tree *tree, const char *path)
{
    int fd = ad_tree_file(tree, path, O_PATH | O_DIRECTORY);

    if (fd < 0) {
        fd = ad_tree_file(tree, path, 0);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0 || errno == EACCES;
}

/* ---- directories ---- */

/* The names in a directory that begin with `prefix`, in their order: name[] is the
 * one before, "" at first, and becomes the next one. False if there is none. Each
 * call reads the directory anew: it is for looking at a board, not for each second. */
static bool ad_tree_next(const struct ad_tree *tree, const char *path,
                         const char *prefix, char name[AD_TREE_NAME])
{
    int fd = ad_tree_file(tree, path, O_DIRECTORY);
    _Alignas(8) char bytes[2048];
    char best[AD_TREE_NAME] = "";
    long n, at;

    if (fd < 0) {
        return false;
    }
    while ((n = syscall(SYS_getdents64, fd, bytes, sizeof(bytes))) > 0) {
        for (at = 0; at < n;) {
            const struct ad_dirent { /* getdents64(2) */
                uint64_t inode, offset;
                unsigned short len;
                unsigned char type;
                char name[];
            } *entry = (const struct ad_dirent *)(const void *)(bytes + at);

            at += entry->len;
            if (entry->name[0] != '.' && strlen(entry->name) < AD_TREE_NAME &&
                strncmp(entry->name, prefix, strlen(prefix)) == 0 &&
                strcmp(entry->name, name) > 0 &&
                (best[0] == '\0' || strcmp(entry->name, best) < 0)) {
                (void)snprintf(best, sizeof(best), "%s", entry->name);
            }
        }
    }
    (void)close(fd);
    memcpy(name, best, sizeof(best));
    return best[0] != '\0';
}

/* ---- files that stay open ---- */

/* Returns its number; 0: there is no such file, or no room. */
static unsigned ad_sensor_open(struct ad_tree *tree, const char *path)
{
    struct ad_sensor *sensor = &tree->sensors[tree->n];

    if (tree->n == AD_SENSORS) {
        return 0;
    }
    memset(sensor, 0, sizeof(*sensor));
    sensor->fd = ad_tree_file(tree, path, 0);
    if (sensor->fd < 0) {
        sensor->last = ad_value_error(errno);
        if (sensor->last.state == AD_VALUE_ABSENT) {
            return 0;
        }
    }
    return tree->n++;
}

/* Close all. */
static void ad_sensors_close(struct ad_tree *tree)
{
    unsigned i;

    for (i = 1; i < tree->n; i++) {
        if (tree->sensors[i].fd >= 0) {
            (void)close(tree->sensors[i].fd);
        }
    }
    tree->n = 1;
    tree->n_lost = 0;
}

/* Read one into text[cap]. Returns its bytes; -1: there are none, and its `last`
 * says why. */
static ssize_t ad_sensor_text(struct ad_tree *tree, unsigned number, char *text,
                              size_t cap)
{
    struct ad_sensor *sensor = &tree->sensors[number];
    ssize_t n;

    if (number == 0 || sensor->fd < 0) {
        return -1;
    }
    n = ad_tree_read_fd(sensor->fd, text, cap);
    if (n >= 0) {
        return n;
    }
    if (errno == ENODEV || errno == ENXIO || errno == ENOENT) {
        tree->n_lost++; /* the device went: others may have come */
    }
    sensor->last = ad_value_error(errno);
    if (sensor->last.state == AD_VALUE_ABSENT) {
        sensor->last.state = AD_VALUE_UNKNOWN; /* there was one */
    }
    return -1;
}

/* The number that a file has. */
static struct ad_value ad_sensor_number(struct ad_tree *tree, unsigned number)
{
    struct ad_sensor *sensor = &tree->sensors[number];
    char text[AD_SENSOR_TEXT];
    uint64_t began_ns, took_ns;
    ssize_t n;

    if (number == 0 || sensor->fd < 0) {
        return sensor->last;
    }
    began_ns = ad_clock_ns(CLOCK_MONOTONIC);
    if (began_ns < sensor->hold_ns) {
        return sensor->last;
    }
    n = ad_sensor_text(tree, number, text, sizeof(text));
    if (n >= 0) {
        sensor->last = ad_parse_number(text, (size_t)n);
    }
    took_ns = ad_clock_ns(CLOCK_MONOTONIC) - began_ns;
    if (took_ns > AD_SLOW_MS * AD_NS_PER_MS) {
        sensor->hold_ns = began_ns + AD_SLOW_NS;
    }
    return sensor->last;
}

#endif /* AIDASH_BOARD */

#endif
