/* grant.c - what somebody may do. Any thread. Owns nothing.
 */
#ifndef AD_GUARD_GRANT_C
#define AD_GUARD_GRANT_C

#include "../base/text.c"

/* Rights; each is a bit. */
enum {
    AD_MAY_VIEW = 1,    /* see ticks, requests, status */
    AD_MAY_CONTROL = 2, /* send commands */
    AD_MAY_INGEST = 4,  /* send ticks */
    AD_MAY_INFER = 8,   /* send requests to the engine */
    AD_MAY_ALL = 15
};

enum { AD_GRANT_NAME_MAX = 63 }; /* bytes */

/* What a credential gives. */
struct ad_grant {
    unsigned rights;                  /* AD_MAY_VIEW and the others */
    char name[AD_GRANT_NAME_MAX + 1]; /* of the key, or the token's subject: UTF-8 without control characters */
    uint32_t key;                     /* the key's number in the file, from 1; 0: a JWT */
    int64_t expires_s;                /* Unix time; 0: never */
};

/* The names of the rights; the right of [i] is the bit 1 << i. */
static const char *const ad_right_names[] = {"view", "control", "ingest", "infer"};
enum {
    AD_RIGHTS = AD_COUNT(ad_right_names),
    AD_RIGHTS_TEXT_MAX = sizeof("view,control,ingest,infer") - 1
};

/* The right of this name, 0 if there is none. */
static unsigned ad_right_of(const char *name, size_t len)
{
    unsigned i;

    for (i = 0; i < AD_RIGHTS; i++) {
        if (strlen(ad_right_names[i]) == len &&
            memcmp(ad_right_names[i], name, len) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

/* "view,control" into rights. False, and *rights is left as it was, if a name is
 * none of them, or there is none. */
static bool ad_rights_parse(const char *text, size_t len, unsigned *rights)
{
    unsigned sum = 0;
    size_t from = 0, i;

    for (i = 0; i <= len; i++) {
        if (i == len || text[i] == ',') {
            unsigned right = ad_right_of(text + from, i - from);

            if (right == 0) {
                return false;
            }
            sum |= right;
            from = i + 1;
        }
    }
    *rights = sum;
    return true;
}

/* Rights as ad_rights_parse() reads them; "" for none. */
static void ad_put_rights(struct ad_text *t, unsigned rights)
{
    const char *comma = "";
    unsigned i;

    for (i = 0; i < AD_RIGHTS; i++) {
        if ((rights & 1u << i) != 0) {
            ad_puts(t, comma);
            ad_puts(t, ad_right_names[i]);
            comma = ",";
        }
    }
}

#endif
