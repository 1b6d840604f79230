/* commands.c - what viewers ask of the engine: checked, offered to the program
 * that embeds aidash, carried out, answered.
 * Owns ad_commands. Hub thread only.
 */
#ifndef AD_CORE_COMMANDS_C
#define AD_CORE_COMMANDS_C

#include "../guard/rights.c"
#include "../guard/throttle.c"
#include "sources.c"

static struct {
    uint64_t count, errors;
    uint64_t limited; /* of the errors: sent too often */
    int (*on_command)(const struct aidash_command *command, void *user); /* [I] */
    void *user; /* [I] of on_command */
    bool (*cancel)(uint64_t request); /* [I] the meter's, or NULL */
    void (*drain)(void);              /* [I] likewise */
    /* [I] likewise: begin a benchmark, stop it. *id is its number then. */
    enum ad_fault (*bench)(const struct ad_bench_plan *plan, uint64_t *id);
    enum ad_fault (*bench_stop)(void);
} ad_commands;

/* May he who asks send commands? */
static enum ad_fault ad_command_denial(const struct ad_asker *who)
{
    switch (ad_right_denial(who, AD_MAY_CONTROL)) {
    case AD_DENIAL_NONE:
        return AD_FAULT_NONE;
    case AD_DENIAL_KEY:
        return AD_FAULT_KEY_NEEDED;
    case AD_DENIAL_NARROW:
        return AD_FAULT_KEY_NARROW;
    default:
        return AD_FAULT_LOCAL_ALONE;
    }
}

/* Is the command for something that is there? */
static enum ad_fault ad_command_fault(const struct ad_command_message *request)
{
    bool meter = ad_sources.source == AD_SOURCE_METER;
    bool names = request->action == AIDASH_SWITCH_MODEL;

    if (names && request->model[0] == '\0') {
        return meter ? AD_FAULT_NONE : AD_FAULT_MODEL_EMPTY;
    }
    if (names && ad_model_find(request->model) == ad_engine.n_models) {
        return AD_FAULT_MODEL_UNKNOWN;
    }
    if (request->action >= AIDASH_BENCH && !meter) {
        return AD_FAULT_BENCH_METER;
    }
    if (request->action >= AIDASH_DRAIN && !meter) {
        return AD_FAULT_ACTION_METER;
    }
    return AD_FAULT_NONE;
}

/* Let an accepted command take effect, or say why it can't. *bench: the number of
 * a benchmark that it began. */
static enum ad_fault ad_command_effect(const struct ad_command_message *request,
                                       uint64_t *bench)
{
    bool meter = ad_sources.source == AD_SOURCE_METER;
    bool names = request->model[0] != '\0';

    switch (request->action) {
    case AIDASH_SWITCH_MODEL:
        ad_engine_select(names ? ad_model_find(request->model)
                               : ad_engine.model,
                         meter && names);
        return AD_FAULT_NONE;
    case AIDASH_CANCEL:
        return ad_commands.cancel != NULL && ad_commands.cancel(request->request)
                   ? AD_FAULT_NONE
                   : AD_FAULT_REQUEST_GONE;
    case AIDASH_BENCH:
        return ad_commands.bench != NULL
                   ? ad_commands.bench(&request->bench, bench)
                   : AD_FAULT_BENCH_METER;
    case AIDASH_BENCH_STOP:
        return ad_commands.bench_stop != NULL ? ad_commands.bench_stop()
                                              : AD_FAULT_BENCH_METER;
    case AIDASH_DRAIN:
        if (ad_commands.drain != NULL) {
            ad_commands.drain();
        }
        ad_engine_pause(true);
        return AD_FAULT_NONE;
    default:
        ad_engine_pause(request->action == AIDASH_PAUSE);
        return AD_FAULT_NONE;
    }
}

/* Log what a command did, and who asked for it. */
static void ad_command_log(const struct ad_command_message *request,
                           const char *client_id, int fd,
                           const struct ad_asker *who)
{
    char what[AIDASH_MODEL_MAX + 2] = "", from[AD_ADDRESS_TEXT_MAX];
    const char *key = who->grant.name;

    if (request->action == AIDASH_SWITCH_MODEL) {
        (void)snprintf(what, sizeof(what), " %s",
                       request->model[0] != '\0' ? request->model : "\"\"");
    } else if (request->action == AIDASH_CANCEL) {
        (void)snprintf(what, sizeof(what), " %llu",
                       (unsigned long long)request->request);
    }
    ad_socket_peer_text(fd, from);
    ad_log(AIDASH_LOG_INFO, "%s%s: asked for by %s from %s%s%s%s",
           ad_action_names[request->action], what,
           client_id[0] != '\0' ? client_id : "POST /command", from,
           key[0] != '\0' ? " with the key '" : "", key,
           key[0] != '\0' ? "'" : "");
}

/* `bench`: the number of the benchmark that it began, or 0. */
static void ad_put_ack(struct ad_text *t,
                       const struct ad_command_message *request, uint64_t bench)
{
    ad_puts(t, "{\"event\":\"ack\",\"action\":");
    ad_put_string(t, ad_action_names[request->action]);
    if (request->id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, request->id);
    }
    if (bench != 0) {
        ad_putf(t, ",\"bench\":%llu", (unsigned long long)bench);
    }
    ad_puts(t, "}");
}

/* Carry out a command that came from the client `client_id` ("" for POST) on the
 * socket fd, if he who asks may, and write its ack or error to *t. *full_ns is the
 * bucket of who sent it (guard/throttle.c); NULL: it has no limit. Returns the status
 * that POST /command answers: 200, 400, 401 or 403 without the right, 409 when it was
 * refused, 429 when it came too soon. */
static int ad_command(const uint8_t *text, size_t len, const char *client_id,
                      int fd, const struct ad_asker *who, uint64_t *full_ns,
                      struct ad_text *t)
{
    struct ad_command_message request;
    struct aidash_command command;
    enum ad_fault fault = ad_command_parse((const char *)text, len, &request);
    uint64_t bench = 0;

    if (fault == AD_FAULT_NONE && request.action == AD_ACTION_PING) {
        ad_put_ack(t, &request, 0);
        return 200;
    }
    ad_commands.count++;
    if (full_ns != NULL &&
        !ad_bucket_take(full_ns, ad_budgets[AD_BUDGET_COMMAND], ad_hub.now_ns)) {
        ad_commands.limited++;
        fault = AD_FAULT_TOO_OFTEN;
    }
    if (fault == AD_FAULT_NONE) {
        fault = ad_command_denial(who);
    }
    if (fault == AD_FAULT_NONE) {
        fault = ad_command_fault(&request);
    }
    if (fault == AD_FAULT_NONE && ad_commands.on_command != NULL) {
        command.action = (enum aidash_action)request.action;
        command.model = request.model;
        command.request = request.request;
        command.client_id = client_id;
        command.key_name = who->grant.name;
        command.rights = ad_rights_of(who);
        command.local = who->local;
        if (ad_commands.on_command(&command, ad_commands.user) != 0) {
            fault = AD_FAULT_REFUSED;
        }
    }
    if (fault == AD_FAULT_NONE) {
        fault = ad_command_effect(&request, &bench);
    }
    if (fault != AD_FAULT_NONE) {
        ad_commands.errors++;
        ad_put_error(t, fault, request.id);
        return ad_fault_status(fault);
    }
    ad_command_log(&request, client_id, fd, who);
    ad_put_ack(t, &request, bench);
    return 200;
}

/* Before each run. */
static void ad_commands_init(void)
{
    memset(&ad_commands, 0, sizeof(ad_commands));
}

/* Ask this function before a command takes effect. While starting. */
static void ad_commands_ask(int (*on_command)(
                                const struct aidash_command *command, void *user),
                            void *user)
{
    ad_commands.on_command = on_command;
    ad_commands.user = user;
}

AD_MEMORY(commands, 1, sizeof(ad_commands));

#endif
