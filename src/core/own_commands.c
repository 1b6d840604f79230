/* own_commands.c - commands that the program that embeds aidash adds: a button, a
 * switch, a number.
 * Owns ad_own_commands. Hub thread only.
 */
#ifndef AD_CORE_OWN_COMMANDS_C
#define AD_CORE_OWN_COMMANDS_C

#include "engine.c"

enum { AD_OWN_JSON_MAX = 256 + 2 * AIDASH_COMMAND_MAX + 2 * AIDASH_TEXT_MAX };

struct ad_own_command {
    char name[AIDASH_COMMAND_MAX + 1];
    char label[AIDASH_TEXT_MAX + 1];
    uint8_t kind; /* enum aidash_parameter */
    double min, max, value;
};

static struct {
    unsigned n;
    struct ad_own_command list[AIDASH_COMMANDS];
} ad_own_commands;

/* Before each run. */
static void ad_own_commands_init(void)
{
    ad_own_commands.n = 0;
}

/* The one of this name, or NULL. */
static struct ad_own_command *ad_own_command_find(const char *name)
{
    unsigned i;

    for (i = 0; i < ad_own_commands.n; i++) {
        if (strcmp(ad_own_commands.list[i].name, name) == 0) {
            return &ad_own_commands.list[i];
        }
    }
    return NULL;
}

/* Add one, or replace the one of its name, and tell the viewers that the list is
 * another. False when there is no room. */
static bool ad_own_command_add(const struct ad_own_command *command)
{
    struct ad_own_command *known = ad_own_command_find(command->name);

    if (known == NULL) {
        if (ad_own_commands.n == AIDASH_COMMANDS) {
            return false;
        }
        known = &ad_own_commands.list[ad_own_commands.n++];
    }
    *known = *command;
    ad_status_append();
    return true;
}

/* May it have this value? */
static bool ad_own_command_takes(const struct ad_own_command *c, bool given,
                                 double value)
{
    switch (c->kind) {
    case AIDASH_NUMBER:
        return given && value >= c->min && value <= c->max;
    case AIDASH_SWITCH:
        return given && (value == 0 || value == 1);
    default:
        return !given;
    }
}

static void ad_put_own_command(struct ad_text *t, const struct ad_own_command *c)
{
    static const char *const kinds[] = {"", "button", "switch", "number"};

    ad_puts(t, "{\"command\":");
    ad_put_string(t, c->name);
    ad_puts(t, ",\"kind\":");
    ad_put_string(t, kinds[c->kind]);
    ad_puts(t, ",\"label\":");
    ad_put_string(t, c->label);
    if (c->kind == AIDASH_NUMBER) {
        ad_puts(t, ",\"min\":");
        ad_put_double(t, c->min);
        ad_puts(t, ",\"max\":");
        ad_put_double(t, c->max);
    }
    if (c->kind != AIDASH_BUTTON) {
        ad_puts(t, ",\"value\":");
        ad_put_double(t, c->value);
    }
    ad_puts(t, "}");
}

/* Their section of status: how many there are, if there are any. */
static void ad_put_own_commands(struct ad_text *t)
{
    if (ad_own_commands.n > 0) {
        ad_puts(t, ",\"commands\":");
        ad_put_u64(t, ad_own_commands.n);
    }
}

AD_MEMORY(own_commands, AIDASH_COMMANDS, sizeof(ad_own_commands));

#endif
