#ifndef AD_CORE_COMMANDS_C
#define AD_CORE_COMMANDS_C

/* ==== 10 LOOP ============================================================ */

/* The hub's other half: what viewers and feeders say, the door, and the loop
 * that runs it all. */

/* -- commands -- */

static void ad_put_error(struct ad_text *t, const char *code, const char *why,
                         const char *id)
{
    ad_puts(t, "{\"event\":\"error\",\"code\":");
    ad_put_string(t, code);
    ad_puts(t, ",\"message\":");
    ad_put_string(t, why);
    if (id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, id);
    }
    ad_puts(t, "}");
}

/* Is the command for something that is there? Returns NULL, or the error's code
 * with its sentence in *why. */
static const char *ad_command_fault(const struct ad_request *request,
                                    const char **why)
{
    bool meter = ad_set.source == AD_SOURCE_METER;
    bool names = request->action == AIDASH_SWITCH_MODEL;

    if (names && request->model[0] == '\0') {
        *why = "\"model\" must not be empty without the meter (--upstream)";
        return meter ? NULL : "invalid_command";
    }
    if (names && ad_model_find(request->model) == ad_hub.n_models) {
        *why = "the model is not in the list that hello and status give";
        return "unknown_model";
    }
    if (request->action >= AIDASH_DRAIN && !meter) {
        *why = "only the meter (--upstream) has requests to drain or cancel";
        return "unknown_action";
    }
    return NULL;
}

/* Let an accepted command take effect. Returns false if there is nothing to
 * act on. */
static bool ad_command_effect(const struct ad_request *request)
{
    bool paused = request->action == AIDASH_PAUSE ||
                  request->action == AIDASH_DRAIN;
    unsigned model = ad_model_find(request->model);

    switch (request->action) {
    case AIDASH_SWITCH_MODEL:
#if AIDASH_METER
        if (ad_set.source == AD_SOURCE_METER) {
            bool overrides = request->model[0] != '\0';

            if (overrides == ad_hub.overrides &&
                (!overrides || model == ad_hub.model)) {
                return true;
            }
            ad_hub.overrides = overrides;
            ad_hub.model = overrides ? model : ad_hub.model;
            ad_status_append();
            return true;
        }
#endif
        if (model != ad_hub.model) {
            ad_hub.model = model;
            ad_status_append();
        }
        return true;
#if AIDASH_METER
    case AIDASH_CANCEL:
        return ad_flow_cancel(request->request);
    case AIDASH_DRAIN:
        ad_hub.drains = ad_hub.n_running > 0;
#endif
        /* fall through */
    default:
        if (paused != ad_hub.paused) {
            ad_hub.paused = paused;
            ad_status_append();
        }
        return true;
    }
}

/* Carry out a command and write its ack or error to *t. Returns the status that
 * POST /command answers: 200, 400, or 409 when it was refused. */
static int ad_command(const uint8_t *text, size_t len, const char *client_id,
                      struct ad_text *t)
{
    struct ad_request request;
    struct aidash_command command;
    const char *why;
    const char *code = ad_request_parse((const char *)text, len, &request,
                                        &why);

    ad_hub.count.commands++;
    if (code == NULL) {
        code = ad_command_fault(&request, &why);
    }
    if (code == NULL && ad_set.config.on_command != NULL) {
        command.action = request.action;
        command.model = request.model;
        command.request = request.request;
        command.client_id = client_id;
        if (ad_set.config.on_command(&command, ad_set.config.user) != 0) {
            code = "refused";
            why = "the engine refused the command";
        }
    }
    if (code == NULL && !ad_command_effect(&request)) {
        code = "refused";
        why = "there is no such request now";
    }
    if (code != NULL) {
        ad_hub.count.command_errors++;
        ad_put_error(t, code, why, request.id);
        return strcmp(code, "refused") == 0 ? 409 : 400;
    }
    ad_puts(t, "{\"event\":\"ack\",\"action\":");
    ad_put_string(t, ad_action_names[request.action]);
    if (request.id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, request.id);
    }
    ad_puts(t, "}");
    return 200;
}

#endif
