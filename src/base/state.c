/* state.c - the state directory: the files that outlive a run.
 * Owns ad_state, which is set at start. Any thread.
 *
 * A file is written whole or not at all: into NAME.new, which takes the name of the
 * old one when it is on the disk. Who reads a file, changes it and writes it back
 * holds the lock meanwhile, so that two programs lose no change. Nobody else may
 * read or change these files: one that others can is refused.
 *
 * They are some kilobytes on a local file system. A read takes microseconds. What
 * changes the directory waits for the disk, on an SD card from 50 ms to seconds, and
 * for who has the lock: the hub never does it (core/key_writer.c).
 */
#ifndef AD_BASE_STATE_C
#define AD_BASE_STATE_C

#include "file.c"
#include "text.c"

enum {
    AD_STATE_DIR_MAX = 400,  /* bytes of the directory's path */
    AD_STATE_PATH_MAX = 432, /* bytes of a file's path, with its NUL */
    AD_STATE_WHY_MAX = AD_STATE_PATH_MAX + 160 /* bytes of a sentence with its NUL */
};

static struct {
    char dir[AD_STATE_DIR_MAX + 1]; /* [I] "": there is none */
} ad_state;

/* The directory, NULL: none. It need not exist. False if the path is too long. While
 * starting. */
static bool ad_state_set(const char *dir)
{
    size_t len = dir != NULL ? strlen(dir) : 0;

    ad_state.dir[0] = '\0';
    if (len > AD_STATE_DIR_MAX) {
        return false;
    }
    if (len > 0) {
        memcpy(ad_state.dir, dir, len + 1);
    }
    return true;
}

static bool ad_state_is_set(void)
{
    return ad_state.dir[0] != '\0';
}

/* name: at most 20 bytes. */
static void ad_state_path(const char *name, const char *suffix,
                          char out[AD_STATE_PATH_MAX])
{
    (void)snprintf(out, AD_STATE_PATH_MAX, "%s/%.20s%s", ad_state.dir, name,
                   suffix);
}

/* "PATH: what is wrong" into why; returns false. */
static bool ad_state_fail(char why[AD_STATE_WHY_MAX], const char *name,
                          const char *what)
{
    (void)snprintf(why, AD_STATE_WHY_MAX, "%s%s%s: %.140s", ad_state.dir,
                   name[0] != '\0' ? "/" : "", name, what);
    return false;
}

/* Make the directory, and those above it, for this user alone. False with errno
 * set. */
static bool ad_state_make(void)
{
    char path[AD_STATE_DIR_MAX + 1];
    size_t i;

    (void)snprintf(path, sizeof(path), "%s", ad_state.dir);
    for (i = 1; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            path[i] = '\0';
            if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EROFS &&
                errno != EACCES) {
                return false;
            }
            path[i] = '/';
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Take the lock: beside it no other program changes a file of this directory. With
 * `wait`, wait for who has it. Returns what ad_state_unlock() takes, or -1 with
 * errno set; EWOULDBLOCK: another program has it. The directory must be there. */
static int ad_state_lock(bool wait)
{
    int fd = open(ad_state.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

    while (fd >= 0 && flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
        error = errno;
        if (error != EINTR) {
            (void)close(fd);
            errno = error;
            return -1;
        }
    }
    return fd;
}

/* A child that was forked meanwhile has it open, too: the lock is let go of, not only
 * closed. */
static void ad_state_unlock(int fd)
{
    (void)flock(fd, LOCK_UN);
    (void)close(fd);
}

/* Has the file another content than that of *stamp? Then *stamp is that of now. */
static bool ad_state_changed(const char *name, struct ad_file_stamp *stamp)
{
    struct ad_file_stamp now;
    char path[AD_STATE_PATH_MAX];

    ad_state_path(name, "", path);
    now = ad_file_stamp(path);
    if (ad_file_stamp_same(&now, stamp)) {
        return false;
    }
    *stamp = now;
    return true;
}

/* May its content be believed, and kept secret? Else why[] says what to do. */
static bool ad_state_may_read(const char *name, const struct stat *info,
                              char why[AD_STATE_WHY_MAX])
{
    char what[128];

    if (!S_ISREG(info->st_mode)) {
        return ad_state_fail(why, name, "it is no file");
    }
    if (info->st_uid != geteuid() && info->st_uid != 0 && geteuid() != 0) {
        return ad_state_fail(why, name, "it belongs to another user");
    }
    if ((info->st_mode & 077) != 0) {
        (void)snprintf(what, sizeof(what),
                       "other users may read or change it (mode %04o): refused; "
                       "chmod 600 makes it yours alone",
                       (unsigned)(info->st_mode & 07777));
        return ad_state_fail(why, name, what);
    }
    return true;
}

/* The whole file into out[0..*len); *len is below cap. SIZE_MAX: there is no file.
 * False if it can't be read or must not be, and why[] says so. */
static bool ad_state_read(const char *name, char *out, size_t cap, size_t *len,
                          char why[AD_STATE_WHY_MAX])
{
    char path[AD_STATE_PATH_MAX];
    struct stat info;
    bool done;
    int fd;

    ad_state_path(name, "", path);
    *len = SIZE_MAX;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ||
               ad_state_fail(why, name, strerror(errno));
    }
    if (fstat(fd, &info) != 0) {
        done = ad_state_fail(why, name, strerror(errno));
    } else {
        done = ad_state_may_read(name, &info, why);
        if (done && !ad_file_read_all(fd, out, cap, len)) {
            done = ad_state_fail(why, name, errno == EFBIG ? "it is longer than it can be"
                                                           : strerror(errno));
        }
    }
    (void)close(fd);
    return done;
}

/* All bytes, on the disk. False with errno set. */
static bool ad_state_put(int fd, const char *bytes, size_t len)
{
    struct stat dir;

    /* root writes for who owns the directory: a service of another user. */
    if (geteuid() == 0 && stat(ad_state.dir, &dir) == 0 &&
        fchown(fd, dir.st_uid, dir.st_gid) != 0) {
        return false;
    }
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0;
}

/* Write a file whole, or leave the old one: then false, and why[] says why. */
static bool ad_state_write(const char *name, const char *bytes, size_t len,
                           char why[AD_STATE_WHY_MAX])
{
    char path[AD_STATE_PATH_MAX], fresh[AD_STATE_PATH_MAX];
    int fd, dir, error = 0;

    ad_state_path(name, "", path);
    ad_state_path(name, ".new", fresh);
    (void)unlink(fresh); /* of a program that ended while it wrote */
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ad_state_fail(why, name, strerror(errno));
    }
    if (!ad_state_put(fd, bytes, len)) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(fresh, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(fresh);
        return ad_state_fail(why, name, strerror(error));
    }
    dir = open(ad_state.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        (void)fsync(dir); /* the new name is on the disk, too */
        (void)close(dir);
    }
    return true;
}

/* Give a file another name, of at most 20 bytes. False if it was not there: another
 * program was faster. */
static bool ad_state_move(const char *name, const char *to)
{
    char path[AD_STATE_PATH_MAX], other[AD_STATE_PATH_MAX];

    ad_state_path(name, "", path);
    ad_state_path(to, "", other);
    return rename(path, other) == 0;
}

/* Remove a file. False if it was not there: another program was faster. */
static bool ad_state_remove(const char *name)
{
    char path[AD_STATE_PATH_MAX];

    ad_state_path(name, "", path);
    return unlink(path) == 0;
}

AD_MEMORY(state, 1, sizeof(ad_state));

#endif
