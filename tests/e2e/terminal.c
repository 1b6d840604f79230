/* terminal COLUMNS ROWS COMMAND...: run it on a terminal of its own. What it writes goes to
 * stdout. Lines of stdin: `size COLUMNS ROWS`, `key CHARACTER`, `signal NUMBER`, `hang up`.
 * When it has ended, stderr tells `exit CODE` or `signal NUMBER`, and whether the terminal is
 * as it was: `same` or `changed`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void resize(int fd, int columns, int rows)
{
    struct winsize size = {(unsigned short)rows, (unsigned short)columns, 0, 0};

    (void)ioctl(fd, TIOCSWINSZ, &size);
}

/* Pass on what there is. */
static void relay(int master)
{
    char bytes[65536];
    ssize_t n = read(master, bytes, sizeof(bytes)), at = 0, wrote;

    while (at < n && (wrote = write(STDOUT_FILENO, bytes + at, (size_t)(n - at))) > 0) {
        at += wrote;
    }
}

/* Obey a line of stdin. */
static void obey(const char *line, int *master, pid_t child)
{
    int a, b;
    char key;

    if (sscanf(line, "size %d %d", &a, &b) == 2) {
        resize(*master, a, b);
    } else if (sscanf(line, "key %c", &key) == 1) {
        (void)!write(*master, &key, 1);
    } else if (sscanf(line, "signal %d", &a) == 1) {
        (void)kill(child, a);
    } else if (strncmp(line, "hang up", 7) == 0) {
        (void)close(*master);
        *master = -1;
    }
}

int main(int argc, char **argv)
{
    struct termios before, after;
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status = 0;
    FILE *lines = fdopen(dup(STDIN_FILENO), "r");
    char line[256];
    pid_t child;

    if (argc < 4 || lines == NULL || master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        return 2;
    }
    setvbuf(lines, NULL, _IONBF, 0);
    (void)fcntl(master, F_SETFD, FD_CLOEXEC);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    resize(master, atoi(argv[1]), atoi(argv[2]));
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    (void)tcgetattr(slave, &before);
    child = fork();
    if (child == 0) {
        (void)setsid();
        (void)ioctl(slave, TIOCSCTTY, 0);
        (void)dup2(slave, STDIN_FILENO);
        (void)dup2(slave, STDOUT_FILENO);
        (void)dup2(slave, STDERR_FILENO);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        struct pollfd ready[2] = {{master, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};

        if (poll(ready, 2, 20) <= 0) {
            continue;
        }
        if ((ready[0].revents & POLLIN) != 0) {
            relay(master);
        }
        if (ready[1].revents != 0) {
            if (fgets(line, sizeof(line), lines) == NULL) {
                (void)kill(child, SIGKILL);
            } else {
                obey(line, &master, child);
            }
        }
    }
    if (master >= 0) {
        struct pollfd ready = {master, POLLIN, 0};

        while (poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN) != 0) {
            relay(master);
        }
        (void)tcgetattr(slave, &after);
    }
    fprintf(stderr, "%s %d %s\n", WIFEXITED(status) ? "exit" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
            after.c_lflag == before.c_lflag && after.c_iflag == before.c_iflag &&
                    after.c_oflag == before.c_oflag && memcmp(after.c_cc, before.c_cc, sizeof(after.c_cc)) == 0
                ? "same"
                : "changed");
    return 0;
}
