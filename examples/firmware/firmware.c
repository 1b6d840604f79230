/* firmware.c - aidash inside a firmware: a loop of 1,000 steps per second
 * stands for the accelerator. It publishes each step and, once per second, its
 * temperature; it obeys a viewer who pauses it, switches its model or sets its
 * threshold. Once per second it describes a picture: a request with 20 tokens.
 * SIGUSR1 stands for a button on the board: it pauses the loop, and viewers see
 * it. The dashboard has its title, and a panel with a picture of its camera.
 * SIGINT and SIGTERM end it. Build: make, or cmake. */
#define _POSIX_C_SOURCE 200809L
#include "aidash.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEP_NS = 1000000, SNAP_W = 32, SNAP_H = 24, SNAP_BYTES = 54 + 3 * SNAP_W * SNAP_H };

/* A panel on the dashboard: an ES module. It shows a new picture for each request. */
static const char panel[] =
    "export default function mount(element, { on }) {\n"
    "  const picture = document.createElement('img');\n"
    "  const text = document.createElement('p');\n"
    "  const look = () => {\n"
    "    picture.src = `./door/snap.bmp?${Date.now()}`;\n"
    "  };\n"
    "  picture.alt = 'What the camera sees';\n"
    "  picture.width = 320;\n"
    "  on('request', look);\n"
    "  on('gauge', ({ gauge, value, unit }) => {\n"
    "    text.textContent = `${gauge}: ${value} ${unit}`;\n"
    "  });\n"
    "  element.append(picture, text);\n"
    "  look();\n"
    "}\n";

static const char *const models[] = {"yolov8n", "resnet50"};
static atomic_int model, paused; /* a viewer's wishes, which the loop obeys */
static _Atomic uint64_t switching; /* the number of the command, 0: none */
static _Atomic double threshold = 0.5;
static volatile sig_atomic_t stopped, pressed;

/* Runs on aidash's thread: notes the wish and returns. */
static int on_command(const struct aidash_command *command, void *user)
{
    (void)user;
    switch (command->action) {
    case AIDASH_SWITCH_MODEL:
        if (switching != 0) {
            return aidash_refuse(command, "another model is being loaded");
        }
        model = strcmp(command->model, models[1]) == 0;
        switching = command->number;
        return aidash_later(command, 60);
    case AIDASH_OWN: /* the threshold: it is the only one */
        threshold = command->value;
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
    if (signal_number == SIGUSR1) {
        pressed = 1;
    } else {
        stopped = 1;
    }
}

/* The button on the board: the engine's side leads, and viewers see it. */
static void on_button(void)
{
    pressed = 0;
    paused = !paused;
    aidash_set_state(paused ? AIDASH_STATE_PAUSED : AIDASH_STATE_RUNNING,
                     paused ? "the button on the board" : NULL);
    aidash_note(AIDASH_LOG_INFO, paused ? "button: paused" : "button: resumed");
}

/* The model that a viewer wants is loaded: here at once. */
static void end_switch(void)
{
    uint64_t number = atomic_exchange(&switching, 0);

    if (number != 0) {
        aidash_finish(number, 1, NULL);
    }
}

/* Once per second: how the board is, and a picture to describe. Each step then adds
 * a token, see describe(). */
static uint64_t every_second(unsigned long second)
{
    struct aidash_request request = {0};

    aidash_gauge("temperature", "C", 55 + (double)(second % 10) * threshold);
    request.client = "door camera";
    request.route = "describe";
    return aidash_request_begin(&request);
}

/* A step of the description: a token, and the end behind the 20th. */
static uint64_t describe(uint64_t request, unsigned tokens)
{
    aidash_request_progress(request, 1);
    if (tokens < 20) {
        return request;
    }
    aidash_request_end(request, AIDASH_FINISHED, NULL);
    return 0;
}

/* Stands for the camera: a picture (BMP) whose colours move. Runs on a thread of
 * aidash's for such callbacks, one at a time. */
static int on_snap(const struct aidash_visit *visit, void *user)
{
    static unsigned char bmp[SNAP_BYTES] = {
        'B', 'M', SNAP_BYTES & 255, SNAP_BYTES >> 8, [10] = 54, [14] = 40,
        [18] = SNAP_W, [22] = SNAP_H, [26] = 1, [28] = 24};
    unsigned i, now = (unsigned)time(NULL) % 64;

    (void)user;
    for (i = 0; i < SNAP_W * SNAP_H; i++) {
        bmp[54 + 3 * i] = (unsigned char)(i % SNAP_W * 8);
        bmp[55 + 3 * i] = (unsigned char)(i / SNAP_W * 10);
        bmp[56 + 3 * i] = (unsigned char)((i % SNAP_W + now) * 4);
    }
    return aidash_reply(visit, bmp, sizeof(bmp)) == 0 ? 200 : 500;
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
    unsigned tokens = 0;
    uint64_t request = 0;

    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);

    aidash_route("/door/snap.bmp", "image/bmp", AIDASH_MAY_VIEW, on_snap, NULL);
    aidash_route_static("/door/panel.js", "text/javascript", AIDASH_MAY_VIEW, panel,
                        sizeof(panel) - 1);
    config.title = "Door camera";
    config.panel = "/door/panel.js";
    config.listen = getenv("AIDASH_LISTEN"); /* NULL: port 8080 */
    config.models = "yolov8n,resnet50";
    config.on_command = on_command;
    if (aidash_start(&config) != 0) {
        fprintf(stderr, "firmware: %s\n", aidash_last_error());
        return 1;
    }
    aidash_command_add("threshold", AIDASH_NUMBER, 0, 1, threshold, "Threshold");
    clock_gettime(CLOCK_MONOTONIC, &due);
    last = due;
    while (!stopped) {
        wait_for_step(&due);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (pressed) {
            on_button();
        }
        end_switch();
        if (!paused) {
            struct aidash_tick tick = {0};

            tick.model = models[model];
            tick.tokens = 1;
            tick.latency_ms = ms_between(&last, &now);
            aidash_publish(&tick);
            if (steps++ % 1000 == 0 && request == 0) {
                request = every_second(steps / 1000);
                tokens = 0;
            } else if (request != 0 && steps % 10 == 0) {
                request = describe(request, ++tokens);
            }
        }
        last = now;
    }
    aidash_request_end(request, AIDASH_CUT, "the firmware ends"); /* if one runs */
    aidash_stop();
    fprintf(stderr, "firmware: stopped after %lu steps\n", steps);
    return 0;
}
