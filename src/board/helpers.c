/* helpers.c - what is not in a file: the answer of a Raspberry Pi's firmware, and of
 * nvidia-smi, which runs as a child, prints a line a second for each GPU, and is
 * started again, after longer and longer, when it ends.
 * Owns ad_smi. The board's thread.
 */
#ifndef AD_BOARD_HELPERS_C
#define AD_BOARD_HELPERS_C

#include "../base/log.c"
#include "tree.c"

#if AIDASH_BOARD

/* ---- the firmware of a Raspberry Pi ---- */

enum {
    AD_VCIO_TEXT = 1024,
    AD_VCIO_TAG = 0x00030080 /* a command in words and its answer */
};

/* Ask the firmware in words, as vcgencmd does. Returns the answer's bytes, in
 * out[AD_VCIO_TEXT]; -1 with errno. */
static ssize_t ad_vcio_ask(int fd, const char *question, char *out)
{
    /* size, request, tag, room, its use, error; the text; the end tag */
    uint32_t message[6 + AD_VCIO_TEXT / 4 + 1] = {0};

    message[0] = sizeof(message);
    message[2] = AD_VCIO_TAG;
    message[3] = AD_VCIO_TEXT;
    (void)snprintf((char *)(message + 6), AD_VCIO_TEXT, "%s", question);
    if (ioctl(fd, _IOWR(100, 0, char *), message) < 0) {
        return -1;
    }
    memcpy(out, message + 6, AD_VCIO_TEXT);
    return (ssize_t)strnlen(out, AD_VCIO_TEXT);
}

/* The device that takes such questions, -1 with errno: there is none, or it is for
 * the group video alone. */
static int ad_vcio_open(void)
{
    int fd = open("/dev/vcio", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT) {
        fd = open("/dev/vcio_gencmd", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    return fd;
}

/* ---- nvidia-smi ---- */

enum {
    AD_SMI_GPUS = 4,
    AD_SMI_LINE = 256,
    AD_SMI_BACKOFF_S = 300, /* the longest */
    AD_SMI_FRESH_S = 5      /* a line holds for so long */
};

static struct {
    pid_t pid; /* 0: it does not run */
    int fd;    /* what it prints; -1 */
    size_t len;
    char line[AD_SMI_LINE];
    unsigned backoff_s;
    uint64_t start_ns;  /* not before */
    unsigned n_gpus;
    struct ad_nvidia gpus[AD_SMI_GPUS];
    uint64_t told_ns[AD_SMI_GPUS];
} ad_smi = {.fd = -1};

/* A line that it printed. */
static void ad_smi_line(const char *line, size_t len, uint64_t now_ns)
{
    struct ad_nvidia gpu;

    if (ad_parse_nvidia(line, len, &gpu) && gpu.index < AD_SMI_GPUS) {
        ad_smi.gpus[gpu.index] = gpu;
        ad_smi.told_ns[gpu.index] = now_ns;
        ad_smi.n_gpus = ad_smi.n_gpus > gpu.index ? ad_smi.n_gpus : gpu.index + 1;
        ad_smi.backoff_s = 1;
    }
}

/* It has ended, or is to. */
static void ad_smi_end(uint64_t now_ns)
{
    if (ad_smi.fd >= 0) {
        (void)close(ad_smi.fd);
        ad_smi.fd = -1;
    }
    if (ad_smi.pid > 0) {
        (void)kill(ad_smi.pid, SIGKILL);
        while (waitpid(ad_smi.pid, NULL, 0) < 0 && errno == EINTR) {
        }
        ad_smi.pid = 0;
    }
    ad_smi.len = 0;
    ad_smi.start_ns = now_ns + ad_smi.backoff_s * AD_NS_PER_S;
    ad_smi.backoff_s = ad_smi.backoff_s * 2 < AD_SMI_BACKOFF_S ? ad_smi.backoff_s * 2
                                                               : AD_SMI_BACKOFF_S;
}

static void ad_smi_start(uint64_t now_ns)
{
    static const char *const argv[] = {
        "nvidia-smi", ("--query-gpu=" AD_NVIDIA_QUERY), "--format=csv,noheader,nounits",
        "--loop=1", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        ad_smi_end(now_ns);
        return;
    }
    (void)sigemptyset(&none);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawn_file_actions_init(&actions);
    rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
                                          0);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                              O_WRONLY, 0);
    }
    if (rc == 0) {
        rc = posix_spawnp(&ad_smi.pid, argv[0], &actions, &attributes,
                          (char *const *)argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    (void)close(ends[1]);
    ad_smi.fd = ends[0];
    if (rc != 0) {
        ad_smi.pid = 0;
        ad_smi_end(now_ns);
        ad_log(AIDASH_LOG_INFO, "board: can't run nvidia-smi: %s", strerror(rc));
    }
}

/* Take what it has printed; start it when that is due. */
static void ad_smi_run(uint64_t now_ns)
{
    ssize_t n;

    if (ad_smi.fd < 0) {
        if (now_ns >= ad_smi.start_ns) {
            ad_smi_start(now_ns);
        }
        return;
    }
    while ((n = read(ad_smi.fd, ad_smi.line + ad_smi.len,
                     sizeof(ad_smi.line) - ad_smi.len)) > 0) {
        char *newline;

        ad_smi.len += (size_t)n;
        while ((newline = memchr(ad_smi.line, '\n', ad_smi.len)) != NULL) {
            size_t len = (size_t)(newline - ad_smi.line);

            ad_smi_line(ad_smi.line, len, now_ns);
            ad_smi.len -= len + 1;
            memmove(ad_smi.line, newline + 1, ad_smi.len);
        }
        if (ad_smi.len == sizeof(ad_smi.line)) {
            ad_smi.len = 0; /* no line of it is so long */
        }
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        ad_smi_end(now_ns);
    }
}

/* The GPU's values, NULL if it has told none for a while. */
static const struct ad_nvidia *ad_smi_gpu(unsigned i, uint64_t now_ns)
{
    if (i >= ad_smi.n_gpus ||
        now_ns - ad_smi.told_ns[i] > AD_SMI_FRESH_S * AD_NS_PER_S) {
        return NULL;
    }
    return &ad_smi.gpus[i];
}

/* Before each run. */
static void ad_smi_init(void)
{
    memset(&ad_smi, 0, sizeof(ad_smi));
    ad_smi.fd = -1;
    ad_smi.backoff_s = 1;
}

AD_MEMORY(nvidia_smi, AD_SMI_GPUS, sizeof(ad_smi));

#endif /* AIDASH_BOARD */

#endif
