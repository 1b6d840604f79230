/* terminal.c - the terminal that `aidash top` draws on: its size, its mode, and the
 * signals that concern it. The main thread, but for the handler of signals. Owns
 * ad_terminal_signal.
 * Always: between ad_terminal_leave() and ad_terminal_enter() the terminal is as it was
 * before; a signal that a program can get only leaves a mark, so that who draws can
 * give the terminal back.
 */
#ifndef AD_APP_TERMINAL_C
#define AD_APP_TERMINAL_C

#include "../base/decimal.c"

#if AD_TOP

#include <sys/ioctl.h>
#include <termios.h>

/* How the terminal was before. All zeros: it is not ours. */
struct ad_terminal {
    bool raw; /* keys come one by one; `before` is what to go back to */
    struct termios before;
};

/* What signals leave: to wake up, a byte in the pipe. */
static struct {
    int pipe[2];
    volatile sig_atomic_t quit, stop, resized;
} ad_terminal_signal;

static void ad_terminal_on_signal(int number)
{
    int saved = errno;

    if (number == SIGWINCH || number == SIGCONT) {
        ad_terminal_signal.resized = 1;
    } else if (number == SIGTSTP) {
        ad_terminal_signal.stop = 1;
    } else {
        ad_terminal_signal.quit = 1;
    }
    (void)!write(ad_terminal_signal.pipe[1], "", 1);
    errno = saved;
}

/* Write all of it. False if the terminal is gone, or a signal says to leave. */
static bool ad_terminal_write(const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, s, len);

        if (n > 0) {
            s += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd ready = {STDOUT_FILENO, POLLOUT, 0};

            (void)poll(&ready, 1, 100);
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
        if (ad_terminal_signal.quit != 0) {
            return false;
        }
    }
    return true;
}

/* The terminal becomes ours: another screen, without cursor and line breaks of its
 * own; keys come one by one. */
static void ad_terminal_enter(struct ad_terminal *t)
{
    static const char begin[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
    struct termios mode;

    if (tcgetattr(STDIN_FILENO, &t->before) == 0) {
        mode = t->before;
        mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        mode.c_cc[VMIN] = 0;
        mode.c_cc[VTIME] = 0;
        t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) == 0;
    }
    (void)ad_terminal_write(begin, sizeof(begin) - 1);
}

static void ad_terminal_leave(struct ad_terminal *t)
{
    static const char end[] = "\033[m\033[?7h\033[?25h\033[?1049l";

    (void)tcflow(STDOUT_FILENO, TCOON); /* Ctrl-S would hold it back */
    (void)!write(STDOUT_FILENO, end, sizeof(end) - 1);
    if (t->raw) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
        t->raw = false;
    }
}

/* A number in the environment, or the default. */
static unsigned ad_terminal_env(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    uint64_t value;

    return text != NULL && ad_decimal_u64(text, strlen(text), 10000, &value) && value > 0
               ? (unsigned)value
               : otherwise;
}

static void ad_terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size;

    *columns = ad_terminal_env("COLUMNS", 80);
    *rows = ad_terminal_env("LINES", 24);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        size.ws_row > 0) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
}

/* Does the user's locale have UTF-8 (POSIX 8.2)? By its name, as it need not be
 * installed here. */
static bool ad_terminal_has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    size_t i;

    for (i = 0; i < AD_COUNT(names); i++) {
        const char *locale = getenv(names[i]);

        if (locale != NULL && locale[0] != '\0') {
            return strcasestr(locale, "UTF-8") != NULL ||
                   strcasestr(locale, "UTF8") != NULL;
        }
    }
    return false;
}

/* Let signals wake up who polls ad_terminal_signal.pipe[0]. False if the system refuses,
 * see errno. */
static bool ad_terminal_listen(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    struct sigaction act, before;
    size_t i;

    if (pipe(ad_terminal_signal.pipe) != 0) {
        return false;
    }
    (void)fcntl(ad_terminal_signal.pipe[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(ad_terminal_signal.pipe[1], F_SETFL, O_NONBLOCK);
    memset(&act, 0, sizeof(act));
    act.sa_handler = ad_terminal_on_signal;
    for (i = 0; i < AD_COUNT(numbers); i++) {
        /* What is ignored (nohup) stays so. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(numbers[i], &act, NULL);
        }
    }
    act.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &act, NULL);
    (void)sigaction(SIGTTOU, &act, NULL);
    return true;
}

#endif /* AD_TOP */

#endif
