/* firmware.c - aidash inside a firmware: a loop of 1,000 steps per second
 * stands for the accelerator. It publishes each step, and obeys a viewer who
 * pauses it or switches its model. SIGINT and SIGTERM end it. Build: make, or
 * cmake. */
#define _POSIX_C_SOURCE 200809L
#include "aidash.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEP_NS = 1000000 };

static const char *const models[] = {"yolov8n", "resnet50"};
static atomic_int model, paused; /* a viewer's wishes, which the loop obeys */
static volatile sig_atomic_t stopped;

/* Runs on aidash's thread: notes the wish and returns. */
static int on_command(const struct aidash_command *command, void *user)
{
    (void)user;
    switch (command->action) {
    case AIDASH_SWITCH_MODEL:
        model = strcmp(command->model, models[1]) == 0;
        return 0;
    case AIDASH_PAUSE:
    case AIDASH_RESUME:
        paused = command->action == AIDASH_PAUSE;
        return 0;
    default:
        return -1; /* refused: the viewer is told */
    }
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static double ms_between(const struct timespec *a, const struct timespec *b)
{
    return (double)(b->tv_sec - a->tv_sec) * 1e3 +
           (double)(b->tv_nsec - a->tv_nsec) / 1e6;
}

/* Stands for the accelerator: sleeps until the next step is due. */
static void wait_for_step(struct timespec *due)
{
    due->tv_nsec += STEP_NS;
    if (due->tv_nsec >= 1000000000) {
        due->tv_nsec -= 1000000000;
        due->tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
}

int main(void)
{
    struct aidash_config config = {0}; /* zeros are defaults */
    struct sigaction action = {0};
    struct timespec due, last, now;
    unsigned long steps = 0;

    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    config.listen = getenv("AIDASH_LISTEN"); /* NULL: port 8080 */
    config.models = "yolov8n,resnet50";
    config.on_command = on_command;
    if (aidash_start(&config) != 0) {
        fprintf(stderr, "firmware: %s\n", aidash_last_error());
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &due);
    last = due;
    while (!stopped) {
        wait_for_step(&due);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!paused) {
            struct aidash_tick tick = {0};

            tick.model = models[model];
            tick.tokens = 1;
            tick.latency_ms = ms_between(&last, &now);
            aidash_publish(&tick);
            steps++;
        }
        last = now;
    }
    aidash_stop();
    fprintf(stderr, "firmware: stopped after %lu steps\n", steps);
    return 0;
}
