/* rights.c - who may do what: the one place that decides. Owns ad_rights, which is
 * set while starting; any thread afterwards.
 *
 * What somebody may do follows from the mode of each right, from where he asks
 * (ad_asker.local: core/access.c finds it out), and from what his credential gives
 * (credentials.c). Nothing else in the program judges a right.
 */
#ifndef AD_GUARD_RIGHTS_C
#define AD_GUARD_RIGHTS_C

#include "../base/text.c"
#include "grant.c"

/* To whom a right is given. */
enum ad_mode {
    AD_MODE_OPEN,       /* everybody */
    AD_MODE_REMOTE_KEY, /* this machine; others with a credential */
    AD_MODE_KEY,        /* who has a credential, on this machine, too */
    AD_MODE_LOCAL,      /* this machine alone */
    AD_MODES
};

static const char *const ad_mode_names[AD_MODES] = {"open", "remote-key", "key",
                                                    "local"};

/* What a route needs that needs no right: 0 would be one that forgot to say. */
enum { AD_MAY_ANYWAY = 16 };

/* Somebody who asks. All zeros: a stranger without a credential. */
struct ad_asker {
    bool local; /* from this machine, by no proxy */
    struct ad_grant grant; /* of a credential that is good; rights 0: he has none */
};

/* Why somebody may not. */
enum ad_denial {
    AD_DENIAL_NONE,   /* he may */
    AD_DENIAL_KEY,    /* he needs a credential */
    AD_DENIAL_NARROW, /* his credential does not give the right */
    AD_DENIAL_LOCAL   /* nobody may from where he is */
};

static struct {
    uint8_t mode[AD_RIGHTS]; /* [I] enum ad_mode, of ad_right_names[i] */
} ad_rights;

/* The place of a right in ad_right_names. */
static unsigned ad_right_index(unsigned right)
{
    unsigned i = 0;

    while (i + 1 < AD_RIGHTS && (right & 1u << i) == 0) {
        i++;
    }
    return i;
}

/* What one right asks of who is here, or elsewhere: AD_MODE_OPEN, AD_MODE_KEY, or
 * AD_MODE_LOCAL. */
static enum ad_mode ad_right_needs(unsigned right, bool local)
{
    enum ad_mode mode = (enum ad_mode)ad_rights.mode[ad_right_index(right)];

    switch (mode) {
    case AD_MODE_REMOTE_KEY:
        return local ? AD_MODE_OPEN : AD_MODE_KEY;
    case AD_MODE_LOCAL:
        return local ? AD_MODE_OPEN : AD_MODE_LOCAL;
    default:
        return mode;
    }
}

/* May he? `right` is one of AD_MAY_VIEW and the others, or AD_MAY_ANYWAY. */
static enum ad_denial ad_right_denial(const struct ad_asker *who, unsigned right)
{
    if (right == AD_MAY_ANYWAY) {
        return AD_DENIAL_NONE;
    }
    switch (ad_right_needs(right, who->local)) {
    case AD_MODE_OPEN:
        return AD_DENIAL_NONE;
    case AD_MODE_LOCAL:
        return AD_DENIAL_LOCAL;
    default:
        if ((who->grant.rights & right) != 0) {
            return AD_DENIAL_NONE;
        }
        return who->grant.rights == 0 ? AD_DENIAL_KEY : AD_DENIAL_NARROW;
    }
}

/* All that he may. */
static unsigned ad_rights_of(const struct ad_asker *who)
{
    unsigned i, rights = 0;

    for (i = 0; i < AD_RIGHTS; i++) {
        if (ad_right_denial(who, 1u << i) == AD_DENIAL_NONE) {
            rights |= 1u << i;
        }
    }
    return rights;
}

/* What he who lacks a right is told: a sentence of at most AD_DENIAL_SENTENCE_MAX
 * bytes with its NUL. */
enum { AD_DENIAL_SENTENCE_MAX = 256 };

static const char *ad_right_sentence(enum ad_denial denial, unsigned right,
                                     char out[AD_DENIAL_SENTENCE_MAX])
{
    static const char *const what[AD_RIGHTS] = {
        "to see this", "to send commands", "to send ticks",
        "to send requests to the engine"};
    unsigned i = ad_right_index(right);

    switch (denial) {
    case AD_DENIAL_LOCAL:
        (void)snprintf(out, AD_DENIAL_SENTENCE_MAX,
                       "nobody beyond the machine where aidash runs is allowed "
                       "%s (--%s local)",
                       what[i], ad_right_names[i]);
        break;
    case AD_DENIAL_NARROW:
        (void)snprintf(out, AD_DENIAL_SENTENCE_MAX,
                       "the key does not have the right %s, which is needed %s",
                       ad_right_names[i], what[i]);
        break;
    default:
        (void)snprintf(out, AD_DENIAL_SENTENCE_MAX,
                       "a key with the right %s is needed %s: `aidash pair` and "
                       "`aidash keys add` on the machine where aidash runs make one",
                       ad_right_names[i], what[i]);
        break;
    }
    return out;
}

/* ["view","control"] */
static void ad_put_rights_json(struct ad_text *t, unsigned rights)
{
    const char *comma = "";
    unsigned i;

    ad_puts(t, "[");
    for (i = 0; i < AD_RIGHTS; i++) {
        if ((rights & 1u << i) != 0) {
            ad_putf(t, "%s\"%s\"", comma, ad_right_names[i]);
            comma = ",";
        }
    }
    ad_puts(t, "]");
}

/* ---- the posture: what a stranger may, in a line ---- */

enum { AD_POSTURE_MAX = 384 }; /* bytes of the line, with its NUL */

/* "watching and control" for these rights. */
static void ad_put_activities(struct ad_text *t, unsigned rights)
{
    static const char *const names[AD_RIGHTS] = {"watching", "control", "ingest",
                                                 "inference"};
    unsigned i, left = 0;

    for (i = 0; i < AD_RIGHTS; i++) {
        left += (rights & 1u << i) != 0;
    }
    for (i = 0; i < AD_RIGHTS; i++) {
        if ((rights & 1u << i) != 0) {
            left--;
            ad_puts(t, names[i]);
            ad_puts(t, left > 1 ? ", " : left == 1 ? " and " : "");
        }
    }
}

/* The rights that ask this of a stranger. */
static unsigned ad_rights_with(enum ad_mode mode, unsigned rights)
{
    unsigned i, found = 0;

    for (i = 0; i < AD_RIGHTS; i++) {
        if ((rights & 1u << i) != 0 && ad_right_needs(1u << i, false) == mode) {
            found |= 1u << i;
        }
    }
    return found;
}

/* A sentence of the posture, which begins with a capital letter. */
static void ad_put_posture_sentence(struct ad_text *t, unsigned rights,
                                    const char *one, const char *many)
{
    size_t from = t->len + 1;
    bool several = (rights & (rights - 1)) != 0;

    if (rights == 0) {
        return;
    }
    ad_puts(t, " ");
    ad_put_activities(t, rights);
    if (!t->full && t->at[from] >= 'a' && t->at[from] <= 'z') {
        t->at[from] = (char)(t->at[from] - 'a' + 'A');
    }
    ad_puts(t, several ? many : one);
}

/* Who may do what, for people: "open to the LAN: watching. Control needs a key." of
 * the rights that count here. `reachable`: somebody listens beyond loopback. */
static void ad_put_posture(struct ad_text *t, unsigned rights, bool reachable)
{
    unsigned open = ad_rights_with(AD_MODE_OPEN, rights);
    unsigned everywhere = 0, i;

    for (i = 0; i < AD_RIGHTS; i++) {
        if (ad_rights.mode[i] == AD_MODE_KEY && (rights & 1u << i) != 0) {
            everywhere |= 1u << i;
        }
    }
    if (!reachable) {
        ad_puts(t, "reachable from this machine only.");
        ad_put_posture_sentence(t, everywhere, " needs a key.", " need a key.");
        return;
    }
    if (open != 0) {
        ad_puts(t, "open to the LAN: ");
        ad_put_activities(t, open);
        ad_puts(t, ".");
    } else {
        ad_puts(t, "nothing is open to the LAN.");
    }
    ad_put_posture_sentence(t, ad_rights_with(AD_MODE_KEY, rights & ~everywhere),
                            " needs a key.", " need a key.");
    ad_put_posture_sentence(t, everywhere, " needs a key, from this machine, too.",
                            " need a key, from this machine, too.");
    ad_put_posture_sentence(t, ad_rights_with(AD_MODE_LOCAL, rights),
                            " is for this machine only.",
                            " are for this machine only.");
}

/* ---- while starting ---- */

/* Before each run: everything is open. */
static void ad_rights_init(void)
{
    memset(&ad_rights, 0, sizeof(ad_rights));
}

/* The mode of a right by its name, as an option has it. False if there is no such
 * mode. */
static bool ad_rights_set(unsigned right, const char *mode)
{
    unsigned i;

    for (i = 0; i < AD_MODES; i++) {
        if (strcmp(ad_mode_names[i], mode) == 0) {
            ad_rights.mode[ad_right_index(right)] = (uint8_t)i;
            return true;
        }
    }
    return false;
}

#endif
