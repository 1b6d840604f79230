/* The policy of rights as a table: each mode, asked from this machine and from
 * elsewhere, without a credential, with a narrow one, with the right one. And the
 * posture: what people read of it. */
#include "../src/guard/rights.c"
#include "check.h"

enum { HERE = 1, ELSEWHERE = 0 };

/* What each asker is told, in the order: nothing, narrow, right. */
static const struct {
    const char *mode;
    bool local;
    enum ad_denial denial[3];
} rows[] = {
    {"open", ELSEWHERE, {AD_DENIAL_NONE, AD_DENIAL_NONE, AD_DENIAL_NONE}},
    {"open", HERE, {AD_DENIAL_NONE, AD_DENIAL_NONE, AD_DENIAL_NONE}},
    {"remote-key", ELSEWHERE, {AD_DENIAL_KEY, AD_DENIAL_NARROW, AD_DENIAL_NONE}},
    {"remote-key", HERE, {AD_DENIAL_NONE, AD_DENIAL_NONE, AD_DENIAL_NONE}},
    {"key", ELSEWHERE, {AD_DENIAL_KEY, AD_DENIAL_NARROW, AD_DENIAL_NONE}},
    {"key", HERE, {AD_DENIAL_KEY, AD_DENIAL_NARROW, AD_DENIAL_NONE}},
    {"local", ELSEWHERE, {AD_DENIAL_LOCAL, AD_DENIAL_LOCAL, AD_DENIAL_LOCAL}},
    {"local", HERE, {AD_DENIAL_NONE, AD_DENIAL_NONE, AD_DENIAL_NONE}},
};

static void test_table(void)
{
    unsigned i, r;

    for (i = 0; i < AD_COUNT(rows); i++) {
        for (r = 0; r < AD_RIGHTS; r++) {
            unsigned right = 1u << r, others = AD_MAY_ALL & ~right;
            struct ad_asker who = {rows[i].local, {0, "", 0, 0}};
            unsigned brings[3] = {0, others, right}, k;

            ad_rights_init();
            CHECK(ad_rights_set(right, rows[i].mode));
            for (k = 0; k < 3; k++) {
                who.grant.rights = brings[k];
                CHECK_EQ(ad_right_denial(&who, right), rows[i].denial[k]);
                CHECK_EQ(ad_rights_of(&who), rows[i].denial[k] == AD_DENIAL_NONE
                                                 ? AD_MAY_ALL
                                                 : others);
                CHECK_EQ(ad_right_denial(&who, AD_MAY_ANYWAY), AD_DENIAL_NONE);
            }
        }
    }
    CHECK(!ad_rights_set(AD_MAY_VIEW, "Open"));
    CHECK(!ad_rights_set(AD_MAY_VIEW, ""));
}

static void test_sentences(void)
{
    char out[AD_DENIAL_SENTENCE_MAX];
    unsigned denial, r;

    for (denial = AD_DENIAL_KEY; denial <= AD_DENIAL_LOCAL; denial++) {
        for (r = 0; r < AD_RIGHTS; r++) {
            const char *text = ad_right_sentence((enum ad_denial)denial, 1u << r,
                                                 out);

            CHECK(strstr(text, ad_right_names[r]) != NULL);
            CHECK(strlen(text) < AD_DENIAL_SENTENCE_MAX - 1); /* it was not cut */
        }
    }
}

static void test_json(void)
{
    char out[64];
    struct ad_text t = ad_text_in(out, sizeof(out));

    ad_put_rights_json(&t, 0);
    ad_put_rights_json(&t, AD_MAY_ALL);
    ad_put(&t, "", 1);
    CHECK_STR(out, "[][\"view\",\"control\",\"ingest\",\"infer\"]");
}

static void test_posture(void)
{
    static const struct {
        const char *view, *control, *ingest, *infer;
        unsigned rights;
        bool reachable;
        const char *text;
    } lines[] = {
        {"open", "open", "open", "open", AD_MAY_ALL, true,
         "open to the LAN: watching, control, ingest and inference."},
        {"open", "remote-key", "remote-key", "open", AD_MAY_ALL, true,
         "open to the LAN: watching and inference. Control and ingest need a "
         "key."},
        {"open", "remote-key", "local", "open", 7, true,
         "open to the LAN: watching. Control needs a key. Ingest is for this machine "
         "only."},
        {"key", "key", "remote-key", "open", 7, true,
         "nothing is open to the LAN. Ingest needs a key. Watching and control need "
         "a key, from this machine, too."},
        {"open", "remote-key", "remote-key", "open", AD_MAY_ALL, false,
         "reachable from this machine only."},
        {"key", "key", "key", "key", AD_MAY_ALL, false,
         "reachable from this machine only. Watching, control, ingest and inference "
         "need a key."},
        {"local", "local", "local", "local", AD_MAY_ALL, true,
         "nothing is open to the LAN. Watching, control, ingest and inference are "
         "for this machine only."},
    };
    unsigned i;

    for (i = 0; i < AD_COUNT(lines); i++) {
        char out[AD_POSTURE_MAX];
        struct ad_text t = ad_text_in(out, sizeof(out));

        ad_rights_init();
        CHECK(ad_rights_set(AD_MAY_VIEW, lines[i].view));
        CHECK(ad_rights_set(AD_MAY_CONTROL, lines[i].control));
        CHECK(ad_rights_set(AD_MAY_INGEST, lines[i].ingest));
        CHECK(ad_rights_set(AD_MAY_INFER, lines[i].infer));
        ad_put_posture(&t, lines[i].rights, lines[i].reachable);
        ad_put(&t, "", 1);
        CHECK(!t.full);
        CHECK_STR(out, lines[i].text);
    }
}

int main(void)
{
    test_table();
    test_sentences();
    test_json();
    test_posture();
    return check_report();
}
