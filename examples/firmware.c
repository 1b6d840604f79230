/* firmware.c - aidash inside a firmware: its own loop publishes each inference,
 * and a viewer's model switch and pause reach it. Build: README, "Drop it in". */
#include "aidash.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const models[] = {"yolov8n", "resnet50"};
static atomic_int model, paused;

static int on_command(const struct aidash_command *command, void *user)
{
    (void)user; /* runs on aidash's thread: note the wish, the loop obeys it */
    if (command->action == AIDASH_SWITCH_MODEL) {
        model = strcmp(command->model, models[1]) == 0;
    } else {
        paused = command->action == AIDASH_PAUSE;
    }
    return 0;
}

int main(void)
{
    struct aidash_config config = {0};
    struct aidash_tick tick = {0};

    config.listen = getenv("AIDASH_LISTEN"); /* NULL: port 8080 */
    config.models = "yolov8n,resnet50";
    config.on_command = on_command;
    if (aidash_start(&config) != 0) {
        fprintf(stderr, "firmware: %s\n", aidash_last_error());
        return 1;
    }
    for (;;) {
        usleep(model == 0 ? 20000 : 45000); /* stands for the accelerator */
        tick.model = models[model];
        tick.latency_ms = model == 0 ? 20.0 : 45.0;
        if (!paused) {
            aidash_publish(&tick);
        }
    }
}
