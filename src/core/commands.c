/* commands.c - what viewers ask of the engine: checked, offered to the program
 * that embeds aidash, carried out, answered.
 * Owns ad_commands. Hub thread only.
 */
#ifndef AD_CORE_COMMANDS_C
#define AD_CORE_COMMANDS_C

#include "../codec/utf8.c"
#include "../guard/rights.c"
#include "../guard/throttle.c"
#include "nodes.c"
#include "own_commands.c"
#include "sources.c"

/* A command that was accepted, and is not carried out yet. */
struct ad_unfinished {
    uint64_t number; /* 0: the place is free */
    uint64_t deadline_ns;
    unsigned limit_s;
    struct ad_command_message request;
};

enum {
    AD_COMMAND_JSON_MAX = 256 + 2 * AIDASH_MODEL_MAX + 2 * AIDASH_COMMAND_MAX +
                          2 * AIDASH_TEXT_MAX + 16 + 2 * AIDASH_NODE_MAX,
    AD_NODE_COMMAND_S = 30 /* so long may a board take that has a link */
};

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
    uint64_t numbers;              /* of commands that were offered so far */
    bool offering;                 /* on_command runs, with */
    struct aidash_command offered; /* this; and it may set these two: */
    unsigned later_s;              /* when it will be finished; 0: it is */
    char refusal[AIDASH_TEXT_MAX + 1]; /* why it is refused; "": it says not */
    struct ad_unfinished unfinished[AIDASH_UNFINISHED];
} ad_commands;

/* ---- commands that take their time ---- */

static struct ad_unfinished *ad_unfinished_find(uint64_t number)
{
    unsigned i;

    for (i = 0; i < AIDASH_UNFINISHED; i++) {
        if (ad_commands.unfinished[i].number == number) {
            return &ad_commands.unfinished[i];
        }
    }
    return NULL;
}

/* What a command asks for, and where it stands. */
static void ad_put_command(struct ad_text *t, uint64_t number,
                           const struct ad_command_message *request,
                           const char *state, const char *message)
{
    ad_puts(t, "{\"event\":\"command\",\"seq\":");
    ad_put_u64(t, ad_feed.next);
    ad_puts(t, ",\"number\":");
    ad_put_u64(t, number);
    ad_puts(t, ",\"action\":");
    ad_put_string(t, ad_action_names[request->action]);
    if (request->action == AIDASH_SWITCH_MODEL) {
        ad_puts(t, ",\"model\":");
        ad_put_string(t, request->model);
    } else if (request->action == AIDASH_OWN) {
        ad_puts(t, ",\"command\":");
        ad_put_string(t, request->name);
        if (request->has_value) {
            ad_puts(t, ",\"value\":");
            ad_put_double(t, request->value);
        }
    }
    ad_puts(t, ",\"state\":");
    ad_put_string(t, state);
    if (message[0] != '\0') {
        ad_puts(t, ",\"message\":");
        ad_put_string(t, message);
    }
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, ad_hub.now_us, 6);
    if (request->node[0] != '\0') {
        ad_puts(t, ",\"node\":");
        ad_put_string(t, request->node);
    }
    ad_puts(t, "}");
}

static void ad_command_tell(uint64_t number, const struct ad_command_message *request,
                            const char *state, const char *message)
{
    char json[AD_COMMAND_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_command(&t, number, request, state, message);
    ad_event_append(AD_EV_COMMAND, &t);
}

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

/* Can a command be sent to the board that it is for? Whether it makes sense there is
 * the board's to say. */
static enum ad_fault ad_node_command_fault(const struct ad_command_message *request)
{
#if AIDASH_NODES
    const struct ad_node *n = ad_node_find(request->node);

    return n == NULL                     ? AD_FAULT_NODE_UNKNOWN
           : n->state == AD_NODE_GONE    ? AD_FAULT_NODE_GONE
           : n->link.send == NULL &&
                     ad_commands.on_command == NULL
               ? AD_FAULT_NODE_LINK
               : AD_FAULT_NONE;
#else
    (void)request;
    return AD_FAULT_NODE_UNKNOWN;
#endif
}

/* Is the command for something that is there? */
static enum ad_fault ad_command_fault(const struct ad_command_message *request)
{
    bool meter = ad_sources.source == AD_SOURCE_METER;
    bool names = request->action == AIDASH_SWITCH_MODEL;

    if (request->node[0] != '\0') {
        return ad_node_command_fault(request);
    }
    if (request->action == AIDASH_OWN) {
        const struct ad_own_command *own = ad_own_command_find(request->name);

        return own == NULL ? AD_FAULT_OWN_UNKNOWN
               : ad_own_command_takes(own, request->has_value, request->value)
                   ? AD_FAULT_NONE
                   : AD_FAULT_OWN_RANGE;
    }
    if (names && request->model[0] == '\0') {
        return meter ? AD_FAULT_NONE : AD_FAULT_MODEL_EMPTY;
    }
    if (names && ad_model_find(request->model) == ad_engine.n_models) {
        return AD_FAULT_MODEL_UNKNOWN;
    }
    if (request->action == AIDASH_CANCEL && request->request != 0 &&
        ad_own_request_find(request->request) < AIDASH_REQUESTS) {
        return ad_commands.on_command != NULL ? AD_FAULT_NONE : AD_FAULT_REQUEST_GONE;
    }
    if (request->action >= AIDASH_BENCH && !meter) {
        return AD_FAULT_BENCH_METER;
    }
    if (request->action >= AIDASH_DRAIN && !meter) {
        return AD_FAULT_ACTION_METER;
    }
    return AD_FAULT_NONE;
}

/* Who pauses the engine, for all viewers: the name of his key, or where he is. */
static void ad_command_by(const struct ad_asker *who, int fd,
                          char out[AIDASH_REASON_MAX + 1])
{
    struct ad_text t = ad_text_in(out, AIDASH_REASON_MAX);
    char from[AD_ADDRESS_TEXT_MAX];

    if (who->grant.name[0] != '\0') {
        const char *name = who->grant.name;

        ad_puts(&t, "paused by ");
        ad_put(&t, name, ad_utf8_prefix((const uint8_t *)name,
                                         strnlen(name, AIDASH_REASON_MAX - t.len)));
    } else if (who->local) {
        ad_puts(&t, "paused from this machine");
    } else {
        ad_socket_peer_text(fd, from);
        ad_puts(&t, "paused from ");
        ad_puts(&t, from);
    }
    out[t.len] = '\0';
}

/* Let an accepted command take effect, or say why it can't. *bench: the number of
 * a benchmark that it began. `by`: who asks, as of ad_command_by(); "" if nobody
 * knows any more. */
static enum ad_fault ad_command_effect(const struct ad_command_message *request,
                                       const char *by, uint64_t *bench)
{
    bool meter = ad_sources.source == AD_SOURCE_METER;
    bool names = request->model[0] != '\0';
    struct ad_own_command *own;

    if (request->node[0] != '\0') {
        return AD_FAULT_NONE; /* it had its effect there */
    }
    switch (request->action) {
    case AIDASH_SWITCH_MODEL:
        ad_engine_select(names ? ad_model_find(request->model)
                               : ad_engine.model,
                         meter && names);
        return AD_FAULT_NONE;
    case AIDASH_OWN:
        own = ad_own_command_find(request->name);
        if (own != NULL) { /* it may have been replaced meanwhile */
            own->value = request->value;
        }
        return AD_FAULT_NONE;
    case AIDASH_CANCEL:
        if (!meter) {
            return AD_FAULT_NONE; /* the program ends its request */
        }
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
        ad_engine_pause(true, by);
        return AD_FAULT_NONE;
    default:
        ad_engine_pause(request->action == AIDASH_PAUSE,
                        request->action == AIDASH_PAUSE ? by : "");
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
    } else if (request->action == AIDASH_OWN) {
        (void)snprintf(what, sizeof(what), " %s", request->name);
    }
    ad_socket_peer_text(fd, from);
    ad_log(AIDASH_LOG_INFO, "%s%s%s%s: asked for by %s from %s%s%s%s",
           ad_action_names[request->action], what,
           request->node[0] != '\0' ? " for the board " : "", request->node,
           client_id[0] != '\0' ? client_id : "POST /command", from,
           key[0] != '\0' ? " with the key '" : "", key,
           key[0] != '\0' ? "'" : "");
}

/* `bench`: the number of the benchmark that it began, or 0; `number`: its own, if it
 * is to be finished later, or 0. */
static void ad_put_ack(struct ad_text *t, const struct ad_command_message *request,
                       uint64_t bench, uint64_t number)
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
    if (number != 0) {
        ad_putf(t, ",\"number\":%llu", (unsigned long long)number);
    }
    ad_puts(t, "}");
}

/* Keep the command that was offered last, to be finished within limit_s. Returns its
 * number. There must be a free place. */
static uint64_t ad_command_keep(const struct ad_command_message *request,
                                unsigned limit_s)
{
    struct ad_unfinished *kept = ad_unfinished_find(0);

    kept->number = ad_commands.numbers;
    kept->limit_s = limit_s;
    kept->deadline_ns = ad_hub.now_ns + limit_s * AD_NS_PER_S;
    kept->request = *request;
    return kept->number;
}

#if AIDASH_NODES

/* Send a command to the link of the board that it is for, which ends it later. */
static enum ad_fault ad_command_to_link(const struct ad_command_message *request,
                                        const struct ad_node_link *link,
                                        uint64_t *later)
{
    char json[AD_COMMAND_FORM_MAX + 64];
    struct ad_text t = ad_text_in(json, sizeof(json));
    const char *problem;

    if (ad_unfinished_find(0) == NULL) {
        return AD_FAULT_UNFINISHED;
    }
    ad_puts(&t, "{\"number\":");
    ad_put_u64(&t, ad_commands.numbers);
    ad_puts(&t, ",\"command\":");
    ad_put_command_form(&t, request);
    ad_puts(&t, "}");
    problem = link->send(link->to, ad_commands.numbers, t.at, t.len);
    if (problem != NULL) {
        (void)snprintf(ad_commands.refusal, sizeof(ad_commands.refusal), "%s", problem);
        return AD_FAULT_REFUSED;
    }
    *later = ad_command_keep(request, AD_NODE_COMMAND_S);
    return AD_FAULT_NONE;
}

#endif

/* Offer a command to the link of its board, or to the program. It may be refused, or
 * finished later: then it is kept, and *later is its number. */
static enum ad_fault ad_command_offer(const struct ad_command_message *request,
                                      const char *client_id,
                                      const struct ad_asker *who, uint64_t *later)
{
    struct aidash_command *command = &ad_commands.offered;
    int rc;
#if AIDASH_NODES
    char form[AD_COMMAND_FORM_MAX] = "";
    struct ad_text t = ad_text_in(form, sizeof(form) - 1);
    const struct ad_node *n = NULL;

    ad_commands.numbers++;
    if (request->node[0] != '\0') {
        n = ad_node_find(request->node);
        ad_put_command_form(&t, request);
        form[t.len] = '\0';
    }
    if (n != NULL && n->link.send != NULL) {
        return ad_command_to_link(request, &n->link, later);
    }
#else
    const char *form = "";

    ad_commands.numbers++;
#endif
    if (ad_commands.on_command == NULL) {
        return AD_FAULT_NONE;
    }
    memset(command, 0, sizeof(*command));
    command->action = (enum aidash_action)request->action;
    command->model = request->model;
    command->request = request->request;
    command->number = ad_commands.numbers;
    command->name = request->name;
    command->value = request->value;
    command->client_id = client_id;
    command->key_name = who->grant.name;
    command->rights = ad_rights_of(who);
    command->local = who->local;
    command->node = request->node;
    command->json = form;
    ad_commands.later_s = 0;
    ad_commands.refusal[0] = '\0';
    ad_commands.offering = true;
    rc = ad_commands.on_command(command, ad_commands.user);
    ad_commands.offering = false;
    if (rc != 0) {
        return AD_FAULT_REFUSED;
    }
    if (ad_commands.later_s == 0) {
        return AD_FAULT_NONE;
    }
    *later = ad_command_keep(request, ad_commands.later_s);
    return AD_FAULT_NONE;
}

/* A command that was kept is over. */
static void ad_command_finish(uint64_t number, bool done, const char *message)
{
    struct ad_unfinished *kept = number != 0 ? ad_unfinished_find(number) : NULL;
    struct ad_command_message request;
    enum ad_fault fault = AD_FAULT_NONE;
    uint64_t bench = 0;

    if (kept == NULL) {
        return; /* it ran out of time, or was finished */
    }
    request = kept->request;
    kept->number = 0;
    if (done && request.node[0] == '\0') { /* what it was for may be gone */
        fault = ad_command_fault(&request);
        fault = fault == AD_FAULT_NONE ? ad_command_effect(&request, "", &bench) : fault;
    }
    if (fault != AD_FAULT_NONE) {
        ad_command_tell(number, &request, "failed", ad_fault_text(fault));
    } else {
        ad_command_tell(number, &request, done ? "done" : "failed", message);
    }
}

/* Once a second: the commands whose time is over. */
static void ad_commands_housekeeping(void)
{
    char why[64];
    unsigned i;

    for (i = 0; i < AIDASH_UNFINISHED; i++) {
        const struct ad_unfinished *kept = &ad_commands.unfinished[i];

        if (kept->number != 0 && ad_hub.now_ns >= kept->deadline_ns) {
            (void)snprintf(why, sizeof(why), "it was not finished within %u s",
                           kept->limit_s);
            ad_command_finish(kept->number, false, why);
        }
    }
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
    enum ad_fault fault = ad_command_parse((const char *)text, len, &request);
    char by[AIDASH_REASON_MAX + 1];
    uint64_t bench = 0, later = 0;

    if (fault == AD_FAULT_NONE && request.action == AD_ACTION_PING) {
        ad_put_ack(t, &request, 0, 0);
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
    ad_commands.refusal[0] = '\0';
    if (fault == AD_FAULT_NONE) {
        fault = ad_command_offer(&request, client_id, who, &later);
    }
    if (fault == AD_FAULT_NONE && later == 0) {
        ad_command_by(who, fd, by);
        fault = ad_command_effect(&request, by, &bench);
    }
    if (fault != AD_FAULT_NONE) {
        ad_commands.errors++;
        ad_put_error_text(t, fault,
                          ad_commands.refusal[0] != '\0' ? ad_commands.refusal
                                                         : ad_fault_text(fault),
                          request.id);
        return ad_fault_status(fault);
    }
    ad_command_log(&request, client_id, fd, who);
    if (later != 0) {
        ad_command_tell(later, &request, "running", "");
    } else if (request.action == AIDASH_OWN) {
        ad_command_tell(ad_commands.numbers, &request, "done", "");
    }
    ad_put_ack(t, &request, bench, later);
    return 200;
}

/* Before each run. */
static void ad_commands_init(void)
{
    memset(&ad_commands, 0, sizeof(ad_commands));
    ad_engine_add_section(ad_put_own_commands);
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
