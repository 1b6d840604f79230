/* value.c - what a sensor says: a number, or why there is none. Pure.
 *
 * A number that is not known is never written as 0: JSON has one of the words of
 * ad_value_words in its place.
 */
#ifndef AD_BOARD_VALUE_C
#define AD_BOARD_VALUE_C

#include "../base/text.c"

#if AIDASH_BOARD

enum ad_value_state {
    AD_VALUE_ABSENT,     /* this board has no such sensor */
    AD_VALUE_NUMBER,
    AD_VALUE_NEEDS_ROOT, /* only root, or a group that we are not in, may read it */
    AD_VALUE_ASLEEP,     /* the unit is switched off; reading it would wake it */
    AD_VALUE_UNKNOWN,    /* it can't be read now, or says what can't be true */
    AD_VALUE_STATES
};

static const char *const ad_value_words[] = {"absent", "", "needs_root", "asleep",
                                             "unknown"};
_Static_assert(AD_COUNT(ad_value_words) == AD_VALUE_STATES, "each has a word");

/* All zero: absent. */
struct ad_value {
    double number; /* if the state is AD_VALUE_NUMBER */
    enum ad_value_state state;
};

static struct ad_value ad_value_of(double number)
{
    struct ad_value v = {number, AD_VALUE_NUMBER};

    return v;
}

static struct ad_value ad_value_none(enum ad_value_state why)
{
    struct ad_value v = {0, why};

    return v;
}

/* Why a file could not be opened or read; `error` is errno. */
static struct ad_value ad_value_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENOSYS:
    case EOPNOTSUPP:
        return ad_value_none(AD_VALUE_ABSENT);
    case EACCES:
    case EPERM:
        return ad_value_none(AD_VALUE_NEEDS_ROOT);
    default:
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
}

static bool ad_value_is_number(const struct ad_value *v)
{
    return v->state == AD_VALUE_NUMBER;
}

/* A number outside low..high, or NaN, is none. */
static struct ad_value ad_value_within(struct ad_value v, double low, double high)
{
    if (v.state == AD_VALUE_NUMBER && !(v.number >= low && v.number <= high)) {
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
    return v;
}

/* As JSON: a number with at most so many decimals (0..7), or a word. */
static void ad_put_value(struct ad_text *t, const struct ad_value *v, int decimals)
{
    static const double half[] = {0.5, 0.05, 0.005, 0.0005};

    if (v->state != AD_VALUE_NUMBER) {
        ad_puts(t, "\"");
        ad_puts(t, ad_value_words[v->state]);
        ad_puts(t, "\"");
        return;
    }
    if (v->number <= -half[decimals < 3 ? decimals : 3]) {
        ad_puts(t, "-");
        ad_put_fixed(t, -v->number, decimals);
    } else {
        ad_put_fixed(t, v->number, decimals);
    }
}

/* ,"name":VALUE; `name` brings its comma and quotes. */
static void ad_put_member(struct ad_text *t, const char *name,
                          const struct ad_value *v, int decimals)
{
    ad_puts(t, name);
    ad_put_value(t, v, decimals);
}

#endif /* AIDASH_BOARD */

#endif
