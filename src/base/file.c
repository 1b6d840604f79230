/* file.c - small files that others write and aidash reads again when they change:
 * whole, and without waiting. Owns nothing. Any thread.
 */
#ifndef AD_BASE_FILE_C
#define AD_BASE_FILE_C

#include "platform.h"

/* What of a file changes when its content does. All zeros: there is no file. */
struct ad_file_stamp {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns, modified_s, modified_ns;
};

/* Of the file behind a symbolic link: where a directory of secrets is replaced as a
 * whole, the link leads to another. */
static struct ad_file_stamp ad_file_stamp(const char *path)
{
    struct ad_file_stamp stamp;
    struct stat info;

    memset(&stamp, 0, sizeof(stamp));
    if (stat(path, &info) == 0) {
        stamp.device = (uint64_t)info.st_dev;
        stamp.inode = (uint64_t)info.st_ino;
        stamp.size = (uint64_t)info.st_size;
        stamp.changed_s = info.st_ctim.tv_sec;
        stamp.changed_ns = info.st_ctim.tv_nsec;
        stamp.modified_s = info.st_mtim.tv_sec;
        stamp.modified_ns = info.st_mtim.tv_nsec;
    }
    return stamp;
}

static bool ad_file_stamp_same(const struct ad_file_stamp *a,
                               const struct ad_file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed_s == b->changed_s && a->changed_ns == b->changed_ns &&
           a->modified_s == b->modified_s && a->modified_ns == b->modified_ns;
}

/* Read what an open file has left, less than cap bytes. False with errno set; EFBIG:
 * out is full. */
static bool ad_file_read_all(int fd, char *out, size_t cap, size_t *len)
{
    *len = 0;
    while (*len < cap) {
        ssize_t n = read(fd, out + *len, cap - *len);

        if (n == 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            *len += (size_t)n;
        }
    }
    errno = EFBIG;
    return false;
}

#if AIDASH_TLS

/* Read a whole file of less than cap bytes, and put a NUL behind it. *mode becomes its
 * permissions. Returns NULL, or why not, in words that stay valid until the next
 * call of strerror(). Something else than a file, as a pipe, is not read: it could
 * make us wait. */
static const char *ad_file_read(const char *path, char *out, size_t cap, size_t *len,
                                mode_t *mode)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    const char *fault = NULL;
    struct stat info;

    if (fd < 0) {
        return strerror(errno);
    }
    if (fstat(fd, &info) != 0) {
        fault = strerror(errno);
    } else if (!S_ISREG(info.st_mode)) {
        fault = "it is no file";
    } else if (!ad_file_read_all(fd, out, cap, len)) {
        fault = errno == EFBIG ? "it is too long" : strerror(errno);
    } else {
        out[*len] = '\0';
        *mode = info.st_mode & 07777;
    }
    (void)close(fd);
    return fault;
}

#endif /* AIDASH_TLS */

#endif
